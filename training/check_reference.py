#!/usr/bin/env python3
"""Compares this definition of the network with the outputs of the authors' program:  check_reference.py CASES_DIR

Each case is a folder with checkpoint.pth or .ckpt, input.png (or left.png and right.png), expected.f32 (little-endian
float32, [channels][height][width], not clamped) and case.json, whose `args` may hold `--window N`. Exit status 0 when
every case is within 1e-4.
"""
import json
import os
import sys

import numpy as np
import torch
from PIL import Image

from checkpoints import load_model

TOLERANCE = 1e-4


def read_png(path):
    """[1, c, h, w] in 0..1. PIL reads 16-bit grey but cuts 16-bit RGB down to 8, so PNGs of 16 bits go through zlib."""
    with open(path, "rb") as file:
        data = file.read()
    if data[24] != 16:
        pixels = np.atleast_3d(np.array(Image.open(path))).astype(np.float32) / 255
    else:
        pixels = read_png16(data).astype(np.float32) / 65535
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].contiguous()


def read_png16(data):
    import struct
    import zlib
    position, packed = 8, b""
    while position < len(data):
        size, kind = struct.unpack(">I4s", data[position:position + 8])
        body = data[position + 8:position + 8 + size]
        position += 12 + size
        if kind == b"IHDR":
            width, height, _, colour = struct.unpack(">IIBB", body[:10])
        packed += body if kind == b"IDAT" else b""
    bytes_per_pixel = {0: 2, 2: 6}[colour]
    rows = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(height, 1 + width * bytes_per_pixel)
    out, above = np.zeros((height, width * bytes_per_pixel), np.uint8), [0] * (width * bytes_per_pixel)
    for y, row in enumerate(rows.tolist()):
        kind, row = row[0], row[1:]
        for i in range(len(row)):
            a, b = row[i - bytes_per_pixel] if i >= bytes_per_pixel else 0, above[i]
            c = above[i - bytes_per_pixel] if i >= bytes_per_pixel else 0
            nearest = min((abs(b - c), 0, a), (abs(a - c), 1, b), (abs(a + b - 2 * c), 2, c))[2]
            row[i] = (row[i] + (0, a, b, (a + b) // 2, nearest)[kind]) & 255
        out[y] = above = row
    return out.view(">u2").reshape(height, width, bytes_per_pixel // 2)


def run_case(folder):
    """Largest absolute error."""
    with open(os.path.join(folder, "case.json"), encoding="utf-8") as file:
        case = json.load(file)
    checkpoint = next(n for n in sorted(os.listdir(folder)) if n.startswith("checkpoint."))
    model = load_model(os.path.join(folder, checkpoint))
    arguments = case.get("args", [])
    if "--window" in arguments:
        model.set_window(int(arguments[arguments.index("--window") + 1]))
    names = ["left.png", "right.png"] if os.path.exists(os.path.join(folder, "left.png")) else ["input.png"]
    picture = torch.cat([read_png(os.path.join(folder, n)) for n in names], 1)
    with torch.no_grad():
        result = model.restore(picture)[0].numpy()
    expected = np.fromfile(os.path.join(folder, "expected.f32"), "<f4").reshape(case["expected_shape"])
    return float(np.abs(result - expected).max())


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    cases = sorted(n for n in os.listdir(sys.argv[1]) if os.path.exists(os.path.join(sys.argv[1], n, "case.json")))
    errors = {name: run_case(os.path.join(sys.argv[1], name)) for name in cases}
    for name, error in errors.items():
        print(f"{name:16s} max |error| {error:.2e}  {'ok' if error <= TOLERANCE else 'FALLS SHORT'}")
    sys.exit(0 if errors and max(errors.values()) <= TOLERANCE else 1)


if __name__ == "__main__":
    main()
