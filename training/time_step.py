#!/usr/bin/env python3
"""Processor time of a training step's forward and backward pass on one thread:  time_step.py CONFIG [--batch 4] [--patch 64]

The smallest of several steps, user and system time together, so that other work on the machine matters little.
RESTORMER_KERNELS=none|rows|fused chooses the kernels (fast_cpu.py).
"""
import argparse
import json
import time

import torch

import fast_cpu
from restormer import ModelConfig, Restormer


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--patch", type=int, default=64)
    parser.add_argument("--steps", type=int, default=12)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with open(arguments.config, encoding="utf-8") as file:
        loaded = json.load(file)
    config, bf16 = ModelConfig(**loaded["model"]), loaded["training"]["bf16"]
    model = Restormer(config).channels_last()
    torch.nn.init.normal_(model.output.weight, std=0.01)
    picture = torch.rand(arguments.batch, config.in_channels, arguments.patch, arguments.patch)
    picture = picture.to(memory_format=torch.channels_last)
    seconds = []
    for _ in range(arguments.steps):
        begun = time.process_time()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            restored = model(picture)
        restored.float().abs().mean().backward()
        seconds.append(time.process_time() - begun)
    pixels = arguments.batch * arguments.patch ** 2
    print(f"kernels {fast_cpu.wanted()}, {'bfloat16' if bf16 else 'float32'}: {min(seconds):.3f} s for {arguments.batch} patches of {arguments.patch}, "
          f"{pixels / min(seconds) / 1e3:.0f} thousand pixels per second and core")


if __name__ == "__main__":
    main()
