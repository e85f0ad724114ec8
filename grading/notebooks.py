"""Reads notebooks that strangers wrote, and finds the release's cells in them.

Nothing here trusts a file: it may be missing, enormous, no JSON, or a notebook whose metadata got lost on the
way (Colab, a copied cell). Reading gives a plain dict in the form of nbformat 4 or one sentence that says why
not.
"""

import json
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from grading.errors import SubmissionError
from grading.weeks import defines

Notebook = dict[str, Any]
Cell = dict[str, Any]

CAP_MB = 20
CELLS_CAP = 5_000
# What `collect` keeps in place of a file that it could not take; the reason follows.
REFUSED = b"This is no notebook. "
KINDS = ("code", "markdown", "raw")


def load_bytes(path: Path, cap_mb: int = CAP_MB) -> bytes:
    """A regular file's bytes. Never follows a link, never waits on a pipe, never reads past the cap.

    Raises:
        SubmissionError: there is no such file, or it is not a file that can be taken.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise SubmissionError(f"{path} does not exist; give the path of a notebook (.ipynb).") from None
    except OSError as problem:
        why = "a link" if path.is_symlink() else problem.strerror
        raise SubmissionError(
            f"{path} cannot be opened ({why}); give the path of a notebook (.ipynb)."
        ) from None
    try:
        state = os.fstat(handle)
        if stat.S_ISDIR(state.st_mode):
            raise SubmissionError(f"{path} is a folder, not a notebook; `course collect` takes folders.")
        if not stat.S_ISREG(state.st_mode):
            raise SubmissionError(f"{path} is a device or a pipe, not a notebook.")
        if state.st_size > cap_mb << 20:
            raise SubmissionError(_too_large(path.name, state.st_size, cap_mb))
        with os.fdopen(handle, "rb", closefd=False) as file:
            return file.read((cap_mb << 20) + 1)
    except OSError as problem:
        raise SubmissionError(f"{path} cannot be read ({problem.strerror}).") from None
    finally:
        os.close(handle)


def read(source: bytes | Path, cap_mb: int = CAP_MB) -> Notebook:
    """A notebook as a plain dict: nbformat 4, every cell with cell_type, source (text), metadata, and for
    code outputs.

    Args:
        source: the file's bytes, or its path.
        cap_mb: the most that is read, in MiB.

    Raises:
        SubmissionError: one sentence that says why this is not a notebook.
    """
    name = source.name if isinstance(source, Path) else "the submission"
    raw = load_bytes(source, cap_mb) if isinstance(source, Path) else source
    if len(raw) > cap_mb << 20:
        raise SubmissionError(_too_large(name, len(raw), cap_mb))
    if raw.startswith(REFUSED):
        raise SubmissionError(raw[len(REFUSED) : 1000].decode("utf-8", "replace").strip())
    if not raw.strip():
        raise SubmissionError(f"{name} is empty; save the notebook and hand it in again.")
    try:
        found = json.loads(raw.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise SubmissionError(
            f"{name} is not text, so it is not a notebook; hand in the .ipynb file itself."
        ) from None
    except RecursionError:
        raise SubmissionError(f"{name} is nested too deeply to be a notebook.") from None
    except ValueError as problem:
        where = f" (line {problem.lineno})" if isinstance(problem, json.JSONDecodeError) else ""
        raise SubmissionError(
            f"{name} is not JSON{where}, so it is not a whole notebook; save it and hand it in again."
        ) from None
    return _normal(found, name)


def dumps(notebook: Mapping[str, Any]) -> str:
    """The file's text: the same notebook is the same bytes."""
    return json.dumps(notebook, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


@dataclass
class Aligned:
    """A submission laid beside its release.

    Args: cells: every cell of the release, in its order, with the learner's source where there is one. extra:
        cells that belong to no cell of the release, each with the index of the release's cell it came after.
        notes: what had to be put right, in sentences for the learner.
    """

    cells: list[tuple[Cell, str | None]]
    extra: list[tuple[int, Cell]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def source_of(self, exercise: str) -> str | None:
        """The learner's source for one exercise; None if they handed none in."""
        for cell, source in self.cells:
            if cell["metadata"].get("exercise") == exercise:
                return source
        return None


def align(release: Mapping[str, Any], submitted: Mapping[str, Any]) -> Aligned:
    """Find the release's cells in a submission.

    An exercise's cell is known by its grade id, else by its cell id, else by the names it defines; any other
    cell by its id or by an equal source. Where several would do, the last one that defines the exercise's
    name counts, as it would in a running kernel. Every other cell of the learner is kept as an extra one:
    nothing they wrote is lost.
    """
    wanted: list[Cell] = list(release["cells"])
    theirs: list[Cell] = list(submitted["cells"])
    defined = [defines(cell["source"]) if cell["cell_type"] == "code" else set() for cell in theirs]
    taken: dict[int, int] = {}  # index of theirs -> index of wanted
    notes: list[str] = []

    def candidates(cell: Cell, names: set[str]) -> Iterator[list[int]]:
        """The free cells that could be this one, by each way of knowing it."""
        free = [n for n, one in enumerate(theirs) if n not in taken and one["cell_type"] == cell["cell_type"]]
        grade_id, identity, source = _grade_id(cell), cell.get("id"), cell["source"].strip()
        yield [n for n in free if grade_id is not None and _grade_id(theirs[n]) == grade_id]
        yield [n for n in free if identity is not None and theirs[n].get("id") == identity]
        if names:
            yield [n for n in free if defined[n] & names]
        else:
            yield [n for n in free if theirs[n]["source"].strip() == source]

    exercises = [n for n, cell in enumerate(wanted) if "exercise" in cell["metadata"]]
    for index in [*exercises, *(n for n in range(len(wanted)) if n not in exercises)]:
        cell = wanted[index]
        names = defines(cell["source"]) if index in exercises else set()
        found = next((some for some in candidates(cell, names) if some), [])
        if not found:
            continue
        defining = [n for n in found if defined[n] & names]
        taken[(defining or found)[-1] if names else found[0]] = index
        if names and len(found) > 1:
            name = cell["metadata"]["exercise"]
            notes.append(f"The cell of exercise {name} was there {len(found)} times; the last one counted.")
    sources: dict[int, str] = {index: theirs[n]["source"] for n, index in taken.items()}
    extra, after = [], -1
    for n, cell in enumerate(theirs):
        if n in taken:
            after = taken[n]
        elif cell["source"].strip():
            extra.append((after, cell))
    return Aligned([(cell, sources.get(index)) for index, cell in enumerate(wanted)], extra, notes)


def without_outputs(cells: Iterable[Cell]) -> list[Cell]:
    """Copies of cells that carry no outputs."""
    return [
        {**cell, "outputs": [], "execution_count": None} if cell["cell_type"] == "code" else dict(cell)
        for cell in cells
    ]


def _grade_id(cell: Mapping[str, Any]) -> str | None:
    nbgrader = cell["metadata"].get("nbgrader")
    found = nbgrader.get("grade_id") if isinstance(nbgrader, dict) else None
    return found if isinstance(found, str) else None


def _too_large(name: str, size: int, cap_mb: int) -> str:
    return (
        f"{name} has {size / 2**20:.0f} MB, more than the {cap_mb} MB a notebook may have; "
        "clear its outputs, save it and hand it in again."
    )


def _normal(found: Any, name: str) -> Notebook:
    if not isinstance(found, dict) or ("cells" not in found and "worksheets" not in found):
        raise SubmissionError(f"{name} is JSON, but not a notebook: it has no cells.")
    form, minor = found.get("nbformat"), found.get("nbformat_minor")
    if "cells" not in found or (type(form) is int and form < 4):
        raise SubmissionError(
            f"{name} is in nbformat {form if type(form) is int else 3}, which Jupyter wrote until 2015; "
            "open it in JupyterLab, save it, and hand it in again."
        )
    if form != 4:
        raise SubmissionError(f"{name} is in nbformat {str(form)[:20]}; this course reads nbformat 4.")
    cells = found["cells"]
    if (
        not isinstance(cells, list)
        or len(cells) > CELLS_CAP
        or not all(isinstance(cell, dict) for cell in cells)
    ):
        raise SubmissionError(
            f"{name} is not a notebook: its cells are not a list of at most {CELLS_CAP} cells."
        )
    metadata = found.get("metadata")
    return {
        "cells": [_cell(cell) for cell in cells],
        "metadata": metadata if isinstance(metadata, dict) else {},
        "nbformat": 4,
        "nbformat_minor": minor if type(minor) is int and 0 <= minor <= 5 else 5,
    }


def _cell(cell: Mapping[str, Any]) -> Cell:
    kind = cell.get("cell_type")
    metadata = cell.get("metadata")
    normal: Cell = {
        "cell_type": kind if kind in KINDS else "raw",
        "metadata": dict(metadata) if isinstance(metadata, dict) else {},
        "source": _text(cell.get("source")),
    }
    if isinstance(cell.get("id"), str):
        normal["id"] = cell["id"]
    if kind == "code":
        outputs = cell.get("outputs")
        normal["outputs"] = (
            [one for one in outputs if isinstance(one, dict)] if isinstance(outputs, list) else []
        )
        normal["execution_count"] = None
    return normal


def _text(source: Any) -> str:
    if isinstance(source, list):
        source = "".join(part for part in source if isinstance(part, str))
    if not isinstance(source, str):
        return ""
    # A lone half of a surrogate pair is legal in JSON and cannot be written to a file.
    return source.encode("utf-8", "replace").decode("utf-8")
