#!/usr/bin/env python3
"""Writes a manifest's network as ONNX for one picture size:  export.py MANIFEST WIDTHxHEIGHT OUT.onnx"""
import os
import sys
import warnings

import torch

from network import load


def main():
    manifest, size, out = sys.argv[1:]
    model = load(manifest)
    width, height = map(int, size.split("x"))
    picture = torch.rand(1, model.config.in_channels, height, width)
    partial = out + ".part"
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")     # about sizes fixed by tracing, which is what is wanted here
        # Constant folding loses initializers in PyTorch 1.13; runtimes fold by themselves.
        torch.onnx.export(model, picture, partial, opset_version=13, input_names=["input"],
                          output_names=["output"], do_constant_folding=False)
    os.replace(partial, out)


if __name__ == "__main__":
    main()
