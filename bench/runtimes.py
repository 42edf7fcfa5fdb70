"""The other runtimes that are installed, started with the same weights and picture."""
import os
import subprocess

from subjects import Peer

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "peers")
PYTHON = "/usr/bin/python3"     # the one that Debian's python3-torch belongs to


def have_torch():
    return subprocess.run([PYTHON, "-c", "import torch"], stderr=subprocess.DEVNULL, check=False).returncode == 0


def available_bytes():
    with open("/proc/meminfo", encoding="ascii") as file:
        return next(1024 * int(line.split()[1]) for line in file if line.startswith("MemAvailable"))


def start(build, manifest, picture, size, threads, folder, say):
    """Peers that are there and fit into memory, ready to run."""
    name = f"{size[0]}x{size[1]}"
    packages = os.path.join(build, "peers")
    if not have_torch():
        say("no PyTorch, so no peers: `make bench-peers` installs them")
        return []
    needed = 9500 * size[0] * size[1]       # a runtime: measured for ONNX Runtime at 1280x720
    started = []
    if os.path.isdir(os.path.join(packages, "node_modules", "onnxruntime-node")) and needed < available_bytes():
        graph = os.path.join(folder, f"full-{name}.onnx")
        if not os.path.exists(graph):
            say(f"writing {graph}")
            subprocess.run([PYTHON, os.path.join(HERE, "export.py"), manifest, name, graph], check=True)
        output = os.path.join(folder, f"onnxruntime-{name}.pfm")
        started.append(Peer(["env", f"BENCH_PEERS={os.path.abspath(packages)}", "node", os.path.join(HERE, "onnx.js"), graph,
                             picture, output, str(threads)], output))
    if len(started) * needed + needed < available_bytes():
        output = os.path.join(folder, f"pytorch-{name}.pfm")
        started.append(Peer([PYTHON, os.path.join(HERE, "torch_eager.py"), manifest, picture, output, str(threads)], output))
    return started
