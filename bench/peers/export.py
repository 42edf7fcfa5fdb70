#!/usr/bin/env python3
"""Writes a manifest's network as ONNX, for pictures of any size that the network takes:  export.py MANIFEST OUT.onnx"""
import os
import sys
import warnings

import torch

from network import load


def main():
    manifest, out = sys.argv[1:]
    model = load(manifest)
    picture = torch.rand(1, model.config.in_channels, 64, 64)
    sides = {2: "height", 3: "width"}
    partial = out + ".part"
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")     # about what tracing fixes: the number of channels
        # Constant folding loses initializers in PyTorch 1.13; runtimes fold by themselves.
        torch.onnx.export(model, picture, partial, opset_version=13, input_names=["input"],
                          output_names=["output"], dynamic_axes={"input": sides, "output": sides},
                          do_constant_folding=False)
    os.replace(partial, out)


if __name__ == "__main__":
    main()
