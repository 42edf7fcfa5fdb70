#!/usr/bin/env python3
"""Draws the loss and the validation PSNR of a run:  plot.py RUN OUT.png"""
import csv
import os
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402
import matplotlib.ticker  # noqa: E402


def read(path):
    with open(path, encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    # a run that went on from a checkpoint may have logged some steps twice: the later row counts
    kept = []
    for row in reversed(rows):
        if not kept or int(row["step"]) < int(kept[-1]["step"]):
            kept.append(row)
    rows = kept[::-1]
    return {key: [float(r[key]) for r in rows] for key in rows[0]}


def smoothed(values, width=15):
    return [sum(values[max(0, i - width):i + 1]) / len(values[max(0, i - width):i + 1]) for i in range(len(values))]


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    log, validation = (read(os.path.join(sys.argv[1], name)) for name in ("log.csv", "validation.csv"))
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), dpi=100)
    millions = [p / 1e6 for p in log["pixels"]]
    left.plot(millions, smoothed(log["loss"]), color="#2a6", lw=1.2)
    left.set(xlabel="training pixels, millions", ylabel="loss (running mean)", yscale="log")
    left.yaxis.set_major_formatter(matplotlib.ticker.FormatStrFormatter("%.2f"))
    left.yaxis.set_minor_formatter(matplotlib.ticker.FormatStrFormatter("%.2f"))
    rates = left.twinx()
    rates.plot(millions, log["learning_rate"], color="#999", lw=0.8, ls="--")
    rates.set_ylabel("learning rate (dashed)")
    shown = [k for k in validation if k not in ("step", "pixels", "seconds", "sigma0", "clean")]
    for name in shown:
        right.plot([p / 1e6 for p in validation["pixels"]], validation[name], marker=".", lw=1, ms=4,
                   label=f"{name.replace('sigma', 'sigma ')}: {validation[name][-1]:.2f} dB")
    right.set(xlabel="training pixels, millions", ylabel="PSNR on held-out photographs, dB")
    right.legend(fontsize=8, loc="lower right")
    for axes in (left, right):
        axes.grid(alpha=0.25)
    figure.tight_layout()
    figure.savefig(sys.argv[2])


if __name__ == "__main__":
    main()
