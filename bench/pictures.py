"""Pictures to restore: pixels of noise, always the same ones. What a picture shows does not change the work."""
import os
import random


def noise(folder, size):
    """The path of a binary PPM of that size, made when it is not there."""
    width, height = size
    path = os.path.join(folder, f"noise-{width}x{height}.ppm")
    if not os.path.exists(path):
        with open(path + ".part", "wb") as file:
            file.write(b"P6\n%d %d\n255\n" % size + random.Random(1).randbytes(3 * width * height))
        os.replace(path + ".part", path)
    return path
