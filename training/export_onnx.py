#!/usr/bin/env python3
"""Writes an ONNX file for other runtimes:  export_onnx.py WEIGHTS OUT.onnx --size 256x256 [--full]

WEIGHTS is a manifest (.json) or a checkpoint; `--full SEED` instead of it takes the published 26 M network with random
weights, for benchmarks. The file is for one picture size (divisible by 8 at four levels), which lets runtimes plan best;
--dynamic leaves height and width open. Opset 13: layer norm is written out in elementary operations.
"""
import argparse
import os
import warnings

os.environ["RESTORMER_KERNELS"] = "none"      # the graph is traced through plain PyTorch
import torch  # noqa: E402

from checkpoints import load_model  # noqa: E402
from restormer import ModelConfig, Restormer  # noqa: E402


def random_full_model(seed):
    torch.manual_seed(seed)
    model = Restormer(ModelConfig())
    torch.nn.init.normal_(model.output.weight, std=0.02)
    return model.eval()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", nargs="?")
    parser.add_argument("out")
    parser.add_argument("--size", default="256x256", help="WIDTHxHEIGHT")
    parser.add_argument("--dynamic", action="store_true", help="leave height and width open")
    parser.add_argument("--full", type=int, metavar="SEED", help="the published network with random weights")
    arguments = parser.parse_args()
    if (arguments.weights is None) == (arguments.full is None):
        parser.error("expected either WEIGHTS or --full SEED")
    model = load_model(arguments.weights) if arguments.weights else random_full_model(arguments.full)
    width, height = map(int, arguments.size.split("x"))
    picture = torch.rand(1, model.config.in_channels, height, width)
    axes = {"input": {2: "height", 3: "width"}, "output": {2: "height", 3: "width"}} if arguments.dynamic else None
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")     # about sizes fixed by tracing, which is what is wanted here
        torch.onnx.export(model.to(memory_format=torch.contiguous_format), picture, arguments.out, opset_version=13,
                          input_names=["input"], output_names=["output"], dynamic_axes=axes, do_constant_folding=False)     # folding loses initializers in 1.13
    print(f"{arguments.out}: {os.path.getsize(arguments.out)} bytes, {width} x {height}{' or any' if arguments.dynamic else ''}")


if __name__ == "__main__":
    main()
