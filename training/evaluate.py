#!/usr/bin/env python3
"""PSNR and SSIM on a folder of photographs:  evaluate.py WEIGHTS --photos DIR [--sigma 15,25,50] [--cli RESTORMER_CLI]

WEIGHTS is a manifest (.json) or a checkpoint. Gaussian noise with a fixed seed per picture and sigma is added in float,
neither clipped nor rounded; the network sees the whole picture in float32; its result is clamped to 0..1 and, as the
papers do it, not rounded. Sigma 0 is the clean picture itself. With --cli the program restores the pictures (as PFM, so
nothing is rounded on the way) instead of PyTorch, which gives the same figures sooner.
"""
import argparse
import json
import os
import subprocess
import tempfile
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
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
    parser.add_argument("--cli", help="let this restormer-cli do the work; WEIGHTS is a manifest then")
    parser.add_argument("--threads", type=int, default=0, help="of PyTorch and of restormer-cli; 0: their choice")
    parser.add_argument("--jobs", type=int, default=1, help="pictures at a time")
    parser.add_argument("--csv", help="write a line for every picture to this file")
    return parser.parse_args()


def noisy(clean, sigma, name):
    seed = zlib.crc32(f"{name} {sigma:g}".encode())
    return clean + torch.randn(clean.shape, generator=torch.Generator().manual_seed(seed)) * (sigma / 255)


def write_pfm(path, picture):
    rows = picture[0].permute(1, 2, 0).flip(0).contiguous().numpy().astype("<f4")        # bottom to top
    with open(path, "wb") as file:
        file.write(b"%s\n%d %d\n-1.0\n" % (b"PF" if rows.shape[2] == 3 else b"Pf", rows.shape[1], rows.shape[0]) + rows.tobytes())


def read_pfm(path):
    with open(path, "rb") as file:
        channels = {b"PF": 3, b"Pf": 1}[file.readline().strip()]
        width, height = map(int, file.readline().split())
        order = "<f4" if float(file.readline()) < 0 else ">f4"
        rows = np.frombuffer(file.read(), order).reshape(height, width, channels).astype(np.float32)
    return torch.from_numpy(rows).flip(0).permute(2, 0, 1)[None]


def through_pytorch(arguments):
    """(function that restores a picture, its number of channels)"""
    model = load_model(arguments.weights).to(arguments.device)

    def restore(picture):
        with torch.no_grad():
            return model.restore(picture.to(arguments.device, memory_format=torch.channels_last)).cpu()

    return restore, model.config.in_channels


def through_cli(arguments, folder):
    with open(arguments.weights, encoding="utf-8") as file:
        channels = json.load(file)["model"]["in_channels"]
    threads = ["--threads", str(arguments.threads)] if arguments.threads else []

    def restore(picture):
        source, result = (os.path.join(folder, f"{threading.get_ident()}-{name}.pfm") for name in ("noisy", "restored"))
        write_pfm(source, picture)
        subprocess.run([arguments.cli, "--quiet", "--weights", arguments.weights, *threads, source, result], check=True)
        return read_pfm(result)

    return restore, channels


def main():
    arguments = parse_arguments()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as folder:
        measure(arguments, *(through_cli(arguments, folder) if arguments.cli else through_pytorch(arguments)))


def measure(arguments, restore, channels):
    paths = photos.list_photos(arguments.photos)[:arguments.limit or None]
    log = open(arguments.csv, "w", encoding="utf-8") if arguments.csv else None
    if log:
        log.write("picture,sigma,psnr,ssim\n")
    def one(path, sigma):
        name = os.path.basename(path)
        clean = photos.to_tensor(photos.load_photo(path, channels))
        degraded = noisy(clean, sigma, name)
        restored = restore(degraded).clamp(0, 1)
        row = psnr(restored, clean), ssim(restored, clean), psnr(degraded, clean)
        if log:
            log.write(f"{name},{sigma:g},{row[0]:.4f},{row[1]:.5f}\n")
            log.flush()
        return row

    pool = ThreadPoolExecutor(arguments.jobs)
    for sigma in (float(s) for s in arguments.sigma.split(",")):
        rows = list(pool.map(one, paths, [sigma] * len(paths)))
        mean = [sum(column) / len(rows) for column in zip(*rows)]
        print(f"sigma {sigma:4g}: PSNR {mean[0]:.2f} dB, SSIM {mean[1]:.4f}  (noisy: {mean[2]:.2f} dB), lowest PSNR "
              f"{min(r[0] for r in rows):.2f}, {len(rows)} pictures", flush=True)
    if log:
        log.close()


if __name__ == "__main__":
    main()
