"""The two frozen models the course ships, loaded from bytes that are known.

A backbone is loaded only if its file has the hash that `manifest.json` names, and its vocabulary is
today's. Anything else is an error that says what to do. Nothing ever falls back to random weights.

The files are looked for inside the installed package first (`course_lib/_data/`, which is how a wheel
carries them), then in the repository's `data/`.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import safetensors.torch
from torch import Tensor, nn

from course_lib.errors import DataError
from course_lib.language import LanguageModel, LanguageSizes
from course_lib.microworld import Vocabulary
from course_lib.vision import ContrastiveModel, TextTower, TowerSizes, VisionTower

_PACKAGE = Path(__file__).resolve().parent
PLACES = (_PACKAGE / "_data", _PACKAGE.parent / "data")
_MOST_WORDS = 32  # of a caption, in the shipped text tower


def data_folder(places: tuple[Path, ...] | None = None) -> Path:
    """The folder that holds manifest.json and the backbones.

    Raises:
        DataError: there is none.
    """
    looked = PLACES if places is None else places
    for place in looked:
        if (place / "manifest.json").is_file():
            return place
    raise DataError(
        f"The frozen models are not here: no manifest.json in {' or '.join(map(str, looked))}; "
        "install the course's wheel again, or restore the repository's folder with `git checkout -- data`."
    )


def manifest(folder: Path | None = None) -> dict[str, Any]:
    """What `manifest.json` says of each file: hash, licence, recipe, seconds, metrics.

    Raises:
        DataError: it is missing or is not JSON.
    """
    path = (data_folder() if folder is None else folder) / "manifest.json"
    try:
        files: dict[str, Any] = json.loads(path.read_text())["files"]
    except FileNotFoundError:
        raise DataError(f"{path} is missing; restore it with `git checkout -- data`.") from None
    except (ValueError, KeyError, TypeError) as broken:
        raise DataError(
            f"{path} cannot be read ({broken!r}); restore it with `git checkout -- data`."
        ) from None
    return files


def verified(name: str, folder: Path | None = None) -> dict[str, Tensor]:
    """The tensors of one shipped file, in float32.

    Raises:
        DataError: the file is missing, has another hash than the manifest says, or was trained on other
        words.
    """
    folder = data_folder() if folder is None else folder
    path = folder / name
    entry = manifest(folder).get(name)
    if entry is None:
        raise DataError(f"{folder / 'manifest.json'} does not name {name}; run {_recipe(name)} to make it.")
    try:
        content = path.read_bytes()
    except OSError as why:
        raise DataError(
            f"{path} cannot be read ({why.strerror}); restore it with `git checkout -- data`, "
            f"or make it again with {_recipe(name)}."
        ) from None
    found = hashlib.sha256(content).hexdigest()
    if found != entry["sha256"]:
        raise DataError(
            f"{path} is not the file the manifest names: its sha256 is {found[:12]}… ({len(content)} bytes) "
            f"and should be {entry['sha256'][:12]}… ({entry['bytes']} bytes); "
            "restore it with `git checkout -- data`."
        )
    if entry["vocabulary_sha256"] != Vocabulary().sha256:
        raise DataError(
            f"{path} was trained on another list of words than course_lib has now "
            f"({len(Vocabulary())} words); install the course_lib it came with, "
            f"or make it again with {_recipe(name)}."
        )
    return {key: tensor.float() for key, tensor in safetensors.torch.load(content).items()}


def _recipe(name: str) -> str:
    return f"`python data/recipes/train_{Path(name).stem}.py`"


def _freeze(model: nn.Module) -> None:
    model.requires_grad_(False).eval()


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


def load_encoder(folder: Path | None = None) -> VisionTower:
    """The frozen ViT: 48 x 48 pixels, patches of 8, width 128.

    Raises:
        DataError: see `verified`.
    """
    tower = VisionTower(TowerSizes())
    tower.load_state_dict(_part(verified("encoder.safetensors", folder), "clip.vision_model."))
    _freeze(tower)
    return tower


def load_contrastive(folder: Path | None = None) -> ContrastiveModel:
    """The frozen ViT together with the text tower it was trained with, for zero-shot exhibits.

    Raises:
        DataError: see `verified`.
    """
    words = Vocabulary()
    text = TextTower(TowerSizes(n_layers=2), len(words), _MOST_WORDS, words.end_id)
    model = ContrastiveModel(VisionTower(TowerSizes()), text)
    model.load_state_dict(_part(verified("encoder.safetensors", folder), "clip."))
    _freeze(model)
    return model


def load_language_model(folder: Path | None = None) -> LanguageModel:
    """The frozen decoder; it answers questions and has never seen a picture.

    Raises:
        DataError: see `verified`.
    """
    model = LanguageModel(LanguageSizes(len(Vocabulary())))
    model.load_state_dict(verified("language_model.safetensors", folder))
    _freeze(model)
    return model


def load_vocabulary() -> Vocabulary:
    """The words that both backbones know."""
    return Vocabulary()
