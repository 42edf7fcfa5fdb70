#!/usr/bin/env python3
"""PyTorch as a peer of the benchmark:  torch_eager.py MANIFEST INPUT.ppm OUTPUT.pfm [THREADS]

Obeys the same lines as onnx.js.
"""
import re
import sys
import time

import torch

from network import load


def read_ppm(path):
    with open(path, "rb") as file:
        data = file.read()
    header = re.match(rb"P6\s+(\d+)\s+(\d+)\s+255\s", data)
    width, height = int(header[1]), int(header[2])
    pixels = torch.frombuffer(bytearray(data[header.end():]), dtype=torch.uint8)
    return (pixels.view(1, height, width, 3).float() / 255).permute(0, 3, 1, 2).contiguous()


def write_pfm(path, picture):
    rows = picture[0].permute(1, 2, 0).flip(0).contiguous()     # the bottom row comes first
    with open(path, "wb") as file:
        file.write(b"PF\n%d %d\n-1.0\n" % (rows.shape[1], rows.shape[0]) + rows.numpy().astype("<f4").tobytes())


def peak_memory():
    with open("/proc/self/status", encoding="ascii") as file:
        return 1024 * int(re.search(r"VmHWM:\s+(\d+) kB", file.read())[1])


def main():
    manifest, source, output = sys.argv[1:4]
    torch.set_num_threads(int(sys.argv[4]) if len(sys.argv) > 4 else 2)
    model, picture, result = load(manifest), read_ppm(source), None
    print(f"ready PyTorch {torch.__version__}", flush=True)
    with torch.inference_mode():
        for line in sys.stdin:
            if line.strip() == "run":
                start = time.monotonic()
                result = model(picture)
                print(time.monotonic() - start, flush=True)
            elif line.strip() == "save":
                print(peak_memory(), flush=True)
                write_pfm(output, result)


if __name__ == "__main__":
    main()
