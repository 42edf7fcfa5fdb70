"""What is timed: one way to restore a picture of one size, ours as a whole process, a peer as a warm one."""
import contextlib
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import Callable, List


@contextlib.contextmanager
def other_work(processes):
    """That many processes, which compute without end."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


@dataclass
class Subject:
    """`once` restores the picture once and returns (seconds, peak bytes or None)."""
    name: str               # as the table has it
    size: tuple             # width, height
    once: Callable
    ours: bool
    precision: str = ""
    isa: str = ""
    threads: int = 0
    busy: bool = False      # timed while other processes compute on as many cores
    output: str = ""        # the PFM that a run leaves behind
    rounds: int = 1
    runs: List[float] = field(default_factory=list)
    peak_bytes: int = 0

    def run(self):
        with other_work(self.threads if self.busy else 0):
            seconds, peak = self.once()
        self.runs.append(seconds)
        self.peak_bytes = max(self.peak_bytes, peak or 0)


def whole_process(command):
    """Runs the command: (wall-clock seconds, peak resident bytes). Raises when it fails."""
    start = time.monotonic()
    child = subprocess.Popen(command)
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.monotonic() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: exit status {child.returncode}")
    return seconds, usage.ru_maxrss * 1024


def ours(build, manifest, picture, size, precision, isa, threads, busy, folder):
    output = os.path.join(folder, f"ours-{precision}-{isa}-{threads}-{size[0]}x{size[1]}.pfm")
    command = [os.path.join(build, "restormer-cli"), "--quiet", "--weights", manifest, "--precision", precision,
               "--isa", isa, "--threads", str(threads), picture, output]
    return Subject(name="restormer-cli" + ", busy" * busy, size=size, once=lambda: whole_process(command), ours=True,
                   precision=precision, isa=isa, threads=threads, busy=busy, output=output)


class Peer:
    """Another runtime in a process of its own that obeys lines: see peers/onnx.js."""

    def __init__(self, command, output):
        self.command, self.output = command, output
        self.child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.name = self.answer().partition(" ")[2]

    def answer(self):
        line = self.child.stdout.readline()
        if not line:
            raise RuntimeError(f"{' '.join(self.command)}: ended with status {self.child.wait()}")
        return line.strip()

    def ask(self, request):
        self.child.stdin.write(request + "\n")
        self.child.stdin.flush()
        return float(self.answer())

    def subject(self, size, threads):
        return Subject(name=self.name, size=size, once=lambda: (self.ask("run"), None), ours=False, precision="f32",
                       threads=threads, output=self.output)

    def finish(self, subject):
        """Writes the output and ends the process; the peak is known only now."""
        subject.peak_bytes = int(self.ask("save"))
        self.child.stdin.close()
        self.child.wait()
