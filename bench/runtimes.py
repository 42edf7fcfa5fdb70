"""The other runtimes that are installed, started with the same weights and picture."""
import os
import subprocess

from subjects import Peer

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "peers")
NAMES = ("onnxruntime", "pytorch")
BYTES_PER_PIXEL = 17500         # of a picture, that a runtime may take: ONNX Runtime at 1280x720 is near it
PYTHON = "/usr/bin/python3"     # the one that Debian's python3-torch belongs to


def have_torch():
    return subprocess.run([PYTHON, "-c", "import torch"], stderr=subprocess.DEVNULL, check=False).returncode == 0


def available_bytes():
    with open("/proc/meminfo", encoding="ascii") as file:
        return next(1024 * int(line.split()[1]) for line in file if line.startswith("MemAvailable"))


def graph_for(manifest, size, folder, say):
    """The ONNX file for that size, made when it is not there."""
    any_size, graph = os.path.join(folder, "full.onnx"), os.path.join(folder, f"full-{size}.onnx")
    if not os.path.exists(any_size):
        say(f"writing {any_size}: a minute or more")
        subprocess.run([PYTHON, os.path.join(HERE, "export.py"), manifest, any_size], check=True)
    if not os.path.exists(graph):
        subprocess.run([os.path.join(HERE, "fix_size.py"), any_size, size, graph], check=True)
    return graph


def start(names, build, manifest, picture, size, threads, folder, say):
    """Those of NAMES that are installed and fit into memory, ready to run."""
    text = f"{size[0]}x{size[1]}"
    packages = os.path.join(build, "peers")
    if not have_torch():
        say("no PyTorch, so no peers: `make bench-peers` installs them")
        return []
    started = []
    for name in names:
        needed = BYTES_PER_PIXEL * size[0] * size[1] * (len(started) + 1)
        if needed > available_bytes():
            say(f"{name} at {text}: not enough memory")
            continue
        output = os.path.join(folder, f"{name}-{text}.pfm")
        if name == "onnxruntime" and os.path.isdir(os.path.join(packages, "node_modules", "onnxruntime-node")):
            command = ["env", f"BENCH_PEERS={os.path.abspath(packages)}", "node", os.path.join(HERE, "onnx.js"),
                       graph_for(manifest, text, folder, say)]
        elif name == "pytorch":
            command = [PYTHON, os.path.join(HERE, "torch_eager.py"), manifest]
        else:
            continue
        started.append(Peer(command + [picture, output, str(threads)], output))
    return started
