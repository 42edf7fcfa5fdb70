#!/usr/bin/env python3
"""Writes weights for restormer-cli:  export_weights.py CHECKPOINT OUT.json [--dtype f16|f32]

OUT.json is the manifest, OUT.safetensors beside it the tensors: the running average (EMA) of the training run.
"""
import argparse
import hashlib
import json
import os
import re
import struct

import numpy as np
import torch

LICENSE = "CC-BY-SA-4.0"
PHOTOGRAPHS = ("photographs of the CID22 training set (Cloudinary, CC BY-SA 4.0), the CLIC 2025 validation set (Unsplash "
               "License) and the GB82 image set (CC0)")
WALLPAPERS = ("and on 40 wallpapers of budgie-backgrounds (CC0), Solus (CC BY-SA 4.0, CC BY 4.0, public domain), UBports (CC BY 4.0, "
              "CC BY-SA 4.0, CC0) and Lomiri (Kleiber by Lukas Baubkus, CC BY-SA 3.0)")
FROM_DENOISE = f"Trained by this project, on from its model denoise, on {PHOTOGRAPHS}, {WALLPAPERS}"
SOURCES = {"real": FROM_DENOISE, "rain": FROM_DENOISE}     # by kind of degradation
SOURCE = f"Trained by this project from scratch on {PHOTOGRAPHS}, {WALLPAPERS}"


def write_safetensors(path, tensors, dtype):
    """Tensors in the order given, data aligned to 64 bytes."""
    kind = {"f16": np.dtype("<f2"), "f32": np.dtype("<f4")}[dtype]
    header, blobs, at = {"__metadata__": {"format": "pt"}}, [], 0
    for name, tensor in tensors.items():
        values = np.ascontiguousarray(tensor.numpy().astype(kind))
        if not np.isfinite(values).all():
            raise ValueError(f"{name}: not finite in {dtype}")
        header[name] = {"dtype": dtype.upper(), "shape": list(tensor.shape), "data_offsets": [at, at + values.nbytes]}
        blobs.append(values.tobytes())
        at += values.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(8 + len(text)) % 64)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint")
    parser.add_argument("out")
    parser.add_argument("--dtype", choices=("f16", "f32"), default="f16")
    parser.add_argument("--raw", action="store_true", help="the weights themselves instead of their running average")
    parser.add_argument("--note", default="", help="added to the manifest's source, for instance how long it was trained")
    arguments = parser.parse_args()
    state = torch.load(arguments.checkpoint, map_location="cpu")
    config = state["config"]
    data_path = os.path.splitext(arguments.out)[0] + ".safetensors"
    tensors = state["params" if arguments.raw else "params_ema"]
    write_safetensors(data_path, tensors, arguments.dtype)
    with open(data_path, "rb") as file:
        data = file.read()
    manifest = {
        "format": "restormer-weights", "version": 1, "name": config["name"], "task": config["task"], "license": LICENSE,
        "source": SOURCES.get(config["degradation"]["kind"], SOURCE) + (f"; {arguments.note}" if arguments.note else ""), "model": config["model"],
        "files": [{"path": os.path.basename(data_path), "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}],
    }
    with open(arguments.out, "w", encoding="utf-8") as file:
        # lists of numbers or words on one line, as one would write them
        file.write(re.sub(r"\[\s+([^\[\]{}]*?)\s+\]", lambda m: "[" + re.sub(r"\s+", " ", m[1]) + "]", json.dumps(manifest, indent=2)) + "\n")
    print(f"{arguments.out}: step {state['step']}, {len(tensors)} tensors, {len(data)} bytes")


if __name__ == "__main__":
    main()
