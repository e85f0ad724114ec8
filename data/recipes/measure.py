"""Measure the shipped backbones again and hold the figures against the manifest.

    python data/recipes/measure.py          ends with 1 if a figure is off by more than half a point

Half a point allows for another processor's rounding, not for another model.
"""

import sys

import torch
import train_encoder
import train_language_model
from common import DATA

from course_lib.backbones import load_language_model, manifest, verified

ALLOWED = 0.005


def main() -> int:
    torch.set_num_threads(1)
    pupil = train_encoder.Pupil()
    pupil.load_state_dict(verified("encoder.safetensors", DATA))
    measured = {
        "encoder.safetensors": train_encoder.measure(pupil),
        "language_model.safetensors": train_language_model.measure(load_language_model(DATA)),
    }
    wrong = 0
    for name, entry in manifest(DATA).items():
        print(name)
        for figure, promised in entry["metrics"].items():
            seen = measured[name][figure]
            off = abs(seen - promised) > ALLOWED
            wrong += off
            print(f"  {figure:46} {seen:.4f}   manifest {promised:.4f}{'   OFF' if off else ''}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
