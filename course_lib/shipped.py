"""The files that come with the course, read only if their bytes are the ones the manifest names.

They are looked for inside the installed package first (`course_lib/_data/`, which is how a wheel carries
them), then in the repository's `data/`.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import safetensors.torch
from torch import Tensor

from course_lib.errors import DataError

_PACKAGE = Path(__file__).resolve().parent
PLACES = (_PACKAGE / "_data", _PACKAGE.parent / "data")


def data_folder(places: tuple[Path, ...] | None = None) -> Path:
    """The folder that holds manifest.json and the files it names.

    Raises:
        DataError: there is none.
    """
    looked = PLACES if places is None else places
    for place in looked:
        if (place / "manifest.json").is_file():
            return place
    raise DataError(
        f"The course's files are not here: no manifest.json in {' or '.join(map(str, looked))}; "
        "install the course's wheel again, or restore the repository's folder with `git checkout -- data`."
    )


def manifest(folder: Path | None = None) -> dict[str, Any]:
    """What `manifest.json` says of each file: hash, licence, recipe, and for a model seconds and metrics.

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


def tensors(name: str, folder: Path | None = None) -> dict[str, Tensor]:
    """The tensors of one file, as they are stored.

    Raises:
        DataError: the file is missing, is not named by the manifest, or has another hash than it says.
    """
    folder = data_folder() if folder is None else folder
    path = folder / name
    entry = manifest(folder).get(name)
    if entry is None:
        raise DataError(f"{folder / 'manifest.json'} does not name {name}; run {recipe(name)} to make it.")
    try:
        content = path.read_bytes()
    except OSError as why:
        raise DataError(
            f"{path} cannot be read ({why.strerror}); restore it with `git checkout -- data`, "
            f"or make it again with {recipe(name)}."
        ) from None
    found = hashlib.sha256(content).hexdigest()
    if found != entry["sha256"]:
        raise DataError(
            f"{path} is not the file the manifest names: its sha256 is {found[:12]}… ({len(content)} bytes) "
            f"and should be {entry['sha256'][:12]}… ({entry['bytes']} bytes); "
            "restore it with `git checkout -- data`."
        )
    return safetensors.torch.load(content)


def recipe(name: str) -> str:
    """The command that makes a file again."""
    stem = Path(name).stem
    family = next((f for f in ("encoder", "language_model") if stem.startswith(f)), stem)
    return (
        f"`python data/recipes/train_{family}.py`"
        if family != "digits"
        else "`python data/recipes/digits.py`"
    )
