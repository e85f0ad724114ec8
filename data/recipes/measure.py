"""Measure the shipped backbones again and hold the figures against the manifest.

    python data/recipes/measure.py          ends with 1 if a figure is off by more than half a point

Half a point allows for another processor's rounding, not for another model.
"""

import sys

import torch
import train_encoder
import train_language_model
from common import DATA

from course_lib.backbones import LANGUAGE_MODELS, load_language_model, verified
from course_lib.shipped import manifest

ALLOWED = 0.005


def main() -> int:
    torch.set_num_threads(1)
    wrong = 0
    for name, entry in manifest(DATA).items():
        if "metrics" not in entry:
            continue
        print(name, flush=True)
        measured = figures(name)
        for figure, promised in entry["metrics"].items():
            seen = measured[figure]
            off = abs(seen - promised) > ALLOWED
            wrong += off
            print(f"  {figure:46} {seen:.4f}   manifest {promised:.4f}{'   OFF' if off else ''}")
    return 1 if wrong else 0


def figures(name: str) -> dict[str, float]:
    """The figures of one shipped file, by its recipe's own `measure`."""
    if name in LANGUAGE_MODELS.values():
        which = next(key for key, file in LANGUAGE_MODELS.items() if file == name)
        model = load_language_model(DATA, which)
        return train_language_model.measure(model, which.split()[0])
    pupil = train_encoder.Pupil()
    held = verified(name, DATA)
    pupil.load_state_dict(held, strict="region_scale" in held)
    return train_encoder.measure(pupil, set(held))


if __name__ == "__main__":
    sys.exit(main())
