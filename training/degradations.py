"""What is done to clean patches to make the network's input. Everything draws from a torch.Generator: repeatable.

Every kind KIND has two functions: KIND(clean, generator, **options) for training, and KIND_validation(clean, seed),
which returns (name, degraded) pairs for the validation curve.
"""
import io

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image


def uniform(generator, count, low, high):
    return (torch.rand(count, generator=generator) * (high - low) + low).view(-1, 1, 1, 1)


def log_uniform(generator, count, low, high):
    return uniform(generator, count, np.log(low), np.log(high)).exp()


def gaussian_noise(clean, generator, sigma_max=55.0, gentle_share=0.15, gentle_max=6.0, grey_share=0.12):
    """Blind Gaussian noise as the papers measure it: float, neither clipped nor rounded; sigma in 8-bit grey levels.

    Sigma is uniform up to a little beyond 50 so that 50 is not the edge of what was seen. A share of the patches has
    hardly any noise, and one in four of those has none at all, so that a clean picture passes through unharmed.
    A share of colour patches becomes grey, in place, with the same noise in every channel: this is how a grey picture
    goes through a colour model.
    """
    n = clean.shape[0]
    sigma = uniform(generator, n, 0, sigma_max)
    gentle = uniform(generator, n, -gentle_max / 3, gentle_max).clamp_min(0)      # a quarter of these: exactly none
    sigma = torch.where(uniform(generator, n, 0, 1) < gentle_share, gentle, sigma)
    noise = torch.randn(clean.shape, generator=generator)
    if clean.shape[1] == 3:
        grey = uniform(generator, n, 0, 1) < grey_share
        luma = (clean * clean.new_tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
        clean.copy_(torch.where(grey, luma, clean))
        noise = torch.where(grey, noise[:, :1], noise)
    return clean + noise * (sigma / 255)


def gaussian_noise_validation(clean, seed):
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(seed))
    return [(f"sigma{s}", clean + noise * (s / 255)) for s in (0, 15, 25, 50)]


def to_linear(x):
    """sRGB to linear light."""
    return torch.where(x <= 0.04045, x / 12.92, ((x.clamp_min(0.04045) + 0.055) / 1.055) ** 2.4)


def to_srgb(x):
    return torch.where(x <= 0.0031308, x * 12.92, 1.055 * x.clamp_min(0.0031308) ** (1 / 2.4) - 0.055)


def demosaicked(noise):
    """Noise of three channels as a Bayer sensor (RGGB) measures it, with what was not measured filled in bilinearly:
    this is what gives the noise of real pictures its blotches and ties neighbouring pixels together."""
    n, _, h, w = noise.shape
    mask = torch.zeros(3, h, w)
    mask[0, 0::2, 0::2] = 1
    mask[1, 0::2, 1::2] = mask[1, 1::2, 0::2] = 1
    mask[2, 1::2, 1::2] = 1
    cross, square = [[0, 1, 0], [1, 4, 1], [0, 1, 0]], [[1, 2, 1], [2, 4, 2], [1, 2, 1]]
    kernel = torch.tensor([square, cross, square], dtype=noise.dtype).view(3, 1, 3, 3) / 4
    return F.conv2d(F.pad(noise * mask, (1, 1, 1, 1), mode="reflect"), kernel, groups=3)


def jpeg(picture, quality):
    """[3, h, w] through JPEG with subsampled chroma, the way cameras and phones write it."""
    pixels = (picture.clamp(0, 1) * 255 + 0.5).to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality, subsampling=2 if quality < 92 else 0)
    return torch.from_numpy(np.array(Image.open(buffer))).permute(2, 0, 1).float() / 255


def camera(clean, generator, shot_max=0.02, read_max=0.02, jpeg_share=0.7, clean_share=0.05):
    """Noise as a camera makes it: Poisson-Gaussian on the sensor (linear light, before white balance), correlated by
    demosaicking, shaped by the tone curve, then perhaps JPEG. The target stays the picture as it was."""
    n = clean.shape[0]
    shot = log_uniform(generator, n, 1e-4, shot_max)            # variance per unit of light
    read = log_uniform(generator, n, 1e-4, read_max)            # standard deviation in the dark
    red, blue = (uniform(generator, n, 1.2, 2.4) for _ in range(2))
    balance = torch.cat([red, torch.ones_like(red), blue], 1)
    light = to_linear(clean)
    deviation = (shot * light / balance + read ** 2).sqrt()     # on the sensor, where red and blue arrive weaker
    noise = demosaicked(torch.randn(clean.shape, generator=generator) * deviation) * balance
    result = to_srgb((light + noise).clamp(0, 1))
    choice, quality = uniform(generator, n, 0, 1).flatten(), uniform(generator, n, 55, 98).flatten()
    for i in range(n):
        if choice[i] < clean_share:
            result[i] = clean[i]
        elif choice[i] < clean_share + jpeg_share:
            result[i] = jpeg(result[i], int(quality[i]))
    return result


def camera_validation(clean, seed):
    """The clean picture itself, and noise from weak to strong; parameters are pinned, the noise is drawn from the seed."""
    results = [("clean", clean)]
    for name, level in (("weak", 0.002), ("middle", 0.006), ("strong", 0.02)):
        generator = torch.Generator().manual_seed(seed)
        light = to_linear(clean)
        noise = demosaicked(torch.randn(clean.shape, generator=generator) * (level * light / 1.6 + level ** 2).sqrt()) * 1.6
        results.append((name, jpeg(to_srgb((light + noise).clamp(0, 1))[0], 85)[None]))
    return results
