"""The recipes in miniature: about a minute from nothing, and the figures move the way they should."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

RECIPES = Path(__file__).resolve().parents[1] / "data" / "recipes"


def made(out: Path, recipe: str, name: str, *options: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, str(RECIPES / recipe), "--out", str(out), *options], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    entry: dict[str, Any] = json.loads((out / "manifest.json").read_text())["files"][name]
    assert (out / name).stat().st_size == entry["bytes"]
    assert entry["seconds"] > 0
    return entry


@pytest.mark.slow
def test_a_minute_of_the_encoders_recipe_teaches_colours_before_digits(tmp_path: Path) -> None:
    entry = made(tmp_path, "train_encoder.py", "encoder.safetensors", "--steps", "60")
    figures = entry["metrics"]
    assert figures["region_colour_new"] > 0.6  # chance is one in six
    assert figures["region_shape_new"] > 0.12  # chance is one in fifteen
    assert figures["region_digit_in_new_handwriting"] < figures["region_colour_new"]
    assert figures["caption_finds_picture_of_256_new"] > 4 / 256


@pytest.mark.slow
def test_a_minute_of_the_language_models_recipe_beats_blind_guessing(tmp_path: Path) -> None:
    entry = made(
        tmp_path,
        "train_language_model.py",
        "language_model_text.safetensors",
        "--which",
        "text",
        "--steps",
        "150",
    )
    figures = entry["metrics"]
    assert figures["text_new"] > 0.5  # .685 was seen; guessing well gives .3
    assert figures["text_new"] > figures["text_unseen"]
    assert figures["blind_new"] < 0.4
    assert figures["blind_exist"] < 0.6


@pytest.mark.parametrize("recipe", ["train_encoder.py", "train_language_model.py"])
def test_an_unknown_model_is_answered_with_the_known_ones(recipe: str) -> None:
    done = subprocess.run(
        [sys.executable, str(RECIPES / recipe), "--which", "large"], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "choose from" in done.stderr
    assert "best" in done.stderr
