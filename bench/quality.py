"""How far bf16 and int8 are from float32 on real pictures, with the trained weights that ship."""
import glob
import os
import subprocess

import report

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")


def measure(build, folder):
    """A dict for each manifest in weights/, picture in data/ and precision."""
    found = []
    manifests = [m for m in sorted(glob.glob(os.path.join(ROOT, "weights", "*.json"))) if not m.endswith(".schema.json")]
    for manifest in manifests:
        for picture in sorted(glob.glob(os.path.join(ROOT, "data", "*-noise*.png"))):
            outputs = {p: os.path.join(folder, f"quality-{p}.pfm") for p in ("f32", "bf16", "int8")}
            for precision, output in outputs.items():
                subprocess.run([os.path.join(build, "restormer-cli"), "--quiet", "--weights", manifest, "--precision", precision,
                                picture, output], check=True)
            for precision in ("bf16", "int8"):
                difference, psnr = report.compare(build, outputs["f32"], outputs[precision])
                found.append({"weights": os.path.basename(manifest), "picture": os.path.basename(picture),
                              "precision": precision, "max_difference": difference, "psnr": psnr})
    return found
