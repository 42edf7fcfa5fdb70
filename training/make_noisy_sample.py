#!/usr/bin/env python3
"""Makes a noisy photograph as a camera would:  make_noisy_sample.py CLEAN.png NOISY.jpg [--level 9] [--seed 1] [--quality 92]

Noise of camera_noise() in degradations.py, of the deviation --level in green, or with --rain the streaks of rain_map(),
then JPEG with colour at half the resolution. Other versions of PyTorch may draw other noise.
"""
import argparse

import torch
from PIL import Image

import degradations
import photos


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clean")
    parser.add_argument("noisy")
    parser.add_argument("--level", type=float, default=9)
    parser.add_argument("--rain", type=float, help="instead of noise: how bright a typical streak is, 0 to 1")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quality", type=int, default=92)
    arguments = parser.parse_args()
    clean = photos.to_tensor(photos.load_photo(arguments.clean))
    dice = degradations.Dice(torch.Generator().manual_seed(arguments.seed))
    added = (degradations.camera_noise(clean, dice, arguments.level) if arguments.rain is None else
             degradations.rain_map(clean.shape[-2:], dice, arguments.rain))
    noisy = (clean + added).clamp(0, 1)
    pixels = (noisy[0] * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
    Image.fromarray(pixels).save(arguments.noisy, "JPEG", quality=arguments.quality, subsampling=2)


if __name__ == "__main__":
    main()
