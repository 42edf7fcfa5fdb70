#!/usr/bin/env python3
"""PSNR and SSIM on a folder of photographs:  evaluate.py WEIGHTS --photos DIR [--sigma 15,25,50] [--limit N] [--csv FILE]

WEIGHTS is a manifest (.json) or a checkpoint. Gaussian noise with a fixed seed per picture and sigma is added in float,
neither clipped nor rounded; the network sees the whole picture in float32; its result is clamped to 0..1 and, as the
papers do it, not rounded. Sigma 0 is the clean picture itself.
"""
import argparse
import os
import zlib

import torch

import photos
from checkpoints import load_model
from metrics import psnr, ssim


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights")
    parser.add_argument("--photos", required=True)
    parser.add_argument("--sigma", default="0,15,25,50")
    parser.add_argument("--limit", type=int, default=0, help="only the first N pictures")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--csv", help="write a line for every picture to this file")
    return parser.parse_args()


def noisy(clean, sigma, name):
    seed = zlib.crc32(f"{name} {sigma:g}".encode())
    return clean + torch.randn(clean.shape, generator=torch.Generator().manual_seed(seed)) * (sigma / 255)


def main():
    arguments = parse_arguments()
    model = load_model(arguments.weights).to(arguments.device)
    paths = photos.list_photos(arguments.photos)[:arguments.limit or None]
    lines = []
    for sigma in (float(s) for s in arguments.sigma.split(",")):
        rows = []
        for path in paths:
            name = os.path.basename(path)
            clean = photos.to_tensor(photos.load_photo(path, model.config.in_channels))
            degraded = noisy(clean, sigma, name)
            with torch.no_grad():
                restored = model.restore(degraded.to(arguments.device, memory_format=torch.channels_last)).cpu().clamp(0, 1)
            rows.append((psnr(restored, clean), ssim(restored, clean), psnr(degraded, clean)))
            lines.append(f"{name},{sigma:g},{rows[-1][0]:.4f},{rows[-1][1]:.5f}")
        mean = [sum(column) / len(rows) for column in zip(*rows)]
        print(f"sigma {sigma:4g}: PSNR {mean[0]:.2f} dB, SSIM {mean[1]:.4f}  (noisy: {mean[2]:.2f} dB), lowest PSNR "
              f"{min(r[0] for r in rows):.2f}, {len(rows)} pictures", flush=True)
    if arguments.csv:
        with open(arguments.csv, "w", encoding="utf-8") as file:
            file.write("picture,sigma,psnr,ssim\n" + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
