"""Training photographs: decoded once into memory, served as random patches."""
import os

import numpy as np
import torch
from PIL import Image

EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp")


def list_photos(folder):
    names = sorted(n for n in os.listdir(folder) if n.lower().endswith(EXTENSIONS))
    if not names:
        raise FileNotFoundError(f"{folder}: no photographs ({', '.join(EXTENSIONS)})")
    return [os.path.join(folder, n) for n in names]


def load_photo(path, channels=3, scale=1.0):
    """[h, w, channels] of uint8. Grey is luma by ITU-R 601, as the published grey denoisers use it."""
    image = Image.open(path).convert("L" if channels == 1 else "RGB")
    if scale != 1.0:
        image = image.resize((round(image.width * scale), round(image.height * scale)), Image.LANCZOS)
    pixels = np.array(image)        # a copy: PIL's own buffer is read-only
    return pixels[:, :, None] if channels == 1 else pixels


def to_tensor(pixels):
    """[h, w, c] uint8 -> [1, c, h, w] float in 0..1, channels_last in memory."""
    return (torch.from_numpy(np.ascontiguousarray(pixels))[None].float() / 255).permute(0, 3, 1, 2)


def split(paths, held_out):
    """(training, validation): every n-th photo is held out, so that all sources are in both."""
    stride = max(1, len(paths) // held_out) if held_out else 0
    validation = paths[stride // 2::stride][:held_out] if held_out else []
    return [p for p in paths if p not in validation], validation


class PatchSource:
    """Random patches: a photo (the larger the likelier), a place, one of the eight orientations."""

    def __init__(self, paths, channels, scales=(1.0,)):
        self.photos = [load_photo(p, channels, s) for s in scales for p in paths]
        areas = torch.tensor([float(p.shape[0] * p.shape[1]) for p in self.photos])
        self.weights = areas.sqrt()     # between "every photo alike" and "every pixel alike"

    def batch(self, count, size, generator):
        """[count, channels, size, size] float in 0..1, channels_last."""
        chosen = torch.multinomial(self.weights, count, replacement=True, generator=generator).tolist()
        draws = torch.rand(count, 3, generator=generator).tolist()
        patches = []
        for index, (a, b, c) in zip(chosen, draws):
            photo = self.photos[index]
            if min(photo.shape[:2]) < size:
                raise ValueError(f"a photograph of {photo.shape[1]} x {photo.shape[0]} is smaller than the patch, {size}")
            y, x, turn = int(a * (photo.shape[0] - size + 1)), int(b * (photo.shape[1] - size + 1)), int(c * 8)
            patch = np.rot90(photo[y:y + size, x:x + size], turn % 4)
            patches.append(patch[:, ::-1] if turn >= 4 else patch)
        return torch.from_numpy(np.stack(patches)).permute(0, 3, 1, 2).float() / 255
