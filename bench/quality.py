"""How far bf16 is from float32 on real pictures, with the trained weights that ship."""
import glob
import os
import subprocess

import report

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")


def measure(build, folder):
    """A dict for each manifest in weights/ and picture in data/."""
    found = []
    manifests = [m for m in sorted(glob.glob(os.path.join(ROOT, "weights", "*.json"))) if not m.endswith(".schema.json")]
    for manifest in manifests:
        for picture in sorted(glob.glob(os.path.join(ROOT, "data", "*-noise*.png"))):
            outputs = []
            for precision in ("f32", "bf16", "int8"):
                outputs.append(os.path.join(folder, f"quality-{precision}.pfm"))
                subprocess.run([os.path.join(build, "restormer-cli"), "--quiet", "--weights", manifest, "--precision", precision,
                                picture, outputs[-1]], check=True)
            difference, psnr = report.compare(build, *outputs)
            found.append({"weights": os.path.basename(manifest), "picture": os.path.basename(picture),
                          "max_difference": difference, "psnr": psnr})
    return found
