"""Every backbone from nothing, the lesser ones too, one after another.

    python data/recipes/train_all.py        under three hours on one core; a stopped run goes on where it was

On two cores, run the encoders and the language models side by side instead.
"""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
RUNS = (
    ("digits.py",),
    ("train_encoder.py",),
    ("train_encoder.py", "--which", "no_regions"),
    ("train_encoder.py", "--which", "plain"),
    ("train_language_model.py",),
    ("train_language_model.py", "--which", "direct"),
    ("train_language_model.py", "--which", "text"),
)


def main() -> int:
    for recipe, *options in RUNS:
        print(f"\n{recipe} {' '.join(options)}", flush=True)
        done = subprocess.run([sys.executable, str(HERE / recipe), *options, *sys.argv[1:]])
        if done.returncode:
            return done.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
