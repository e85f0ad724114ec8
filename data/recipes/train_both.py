"""Rebuild every backbone from nothing, one after another: about half an hour on one core.

    python data/recipes/train_both.py [--fresh]

A run that was stopped goes on from its last checkpoint in build/recipes/.
"""

import subprocess
import sys
from pathlib import Path

for recipe in ("train_encoder.py", "train_language_model.py"):
    subprocess.run([sys.executable, str(Path(__file__).with_name(recipe)), *sys.argv[1:]], check=True)
