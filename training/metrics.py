"""PSNR, and SSIM of Wang et al. 2004 (11 x 11 Gaussian window of 1.5, valid part only), on values in 0..1."""
import math

import torch


def psnr(a, b):
    error = (a.double() - b.double()).square().mean().item()
    return math.inf if error == 0 else -10 * math.log10(error)


def ssim(a, b):
    """Mean over the channels of [1, c, h, w]."""
    a, b = a.double().contiguous(), b.double().contiguous()
    offsets = torch.arange(11, dtype=torch.float64) - 5
    line = torch.exp(-offsets ** 2 / (2 * 1.5 ** 2))
    line = (line / line.sum()).tolist()

    def blur(x):            # a sum of shifted maps: in float64 much faster than PyTorch's convolution
        h, w = x.shape[-2] - 10, x.shape[-1] - 10
        x = sum(line[i] * x[..., i:i + h, :] for i in range(11))
        return sum(line[i] * x[..., i:i + w] for i in range(11))

    mean_a, mean_b = blur(a), blur(b)
    var_a, var_b, cov = blur(a * a) - mean_a ** 2, blur(b * b) - mean_b ** 2, blur(a * b) - mean_a * mean_b
    c1, c2 = 0.01 ** 2, 0.03 ** 2
    value = (2 * mean_a * mean_b + c1) * (2 * cov + c2) / ((mean_a ** 2 + mean_b ** 2 + c1) * (var_a + var_b + c2))
    return value.mean().item()
