"""solutions/ -> notebooks/: a week without its answers.

The week's text becomes a staged notebook (with solutions, in build/), nbgrader takes the solutions out, and
the result is scanned for everything that must stay in before it replaces the last release. Written twice, it
is the same bytes. A release that fails at any step leaves the old one as it was.
"""

import copy
import functools
import hashlib
import io
import os
import re
import shutil
import tempfile
import tokenize
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from nbgrader.converters import GenerateAssignment
from nbgrader.converters.base import NbGraderException
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import (
    CheckCellMetadata,
    ClearOutput,
    ClearSolutions,
    ComputeChecksums,
    LockCells,
    SaveCells,
)
from traitlets.config import Config

from grading import editions, gradebook, notebooks
from grading.errors import CourseBroken, UsageError
from grading.layout import Layout
from grading.store import work_folder
from grading.trouble import of
from grading.weeks import Week

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
SHORT_KEYS = ("exercise", "check", "points", "experiment", "generated")
# So many code tokens in a row, shared with a solution, give it away; with other secret code, which is longer
# and
# full of everyday lines, it takes more of them to be no coincidence.
SOLUTION_RUN, SECRET_RUN = 14, 36


@dataclass(frozen=True)
class Released:
    """What a release wrote.

    Args:
        notebook: the learner's notebook.
        wheel: the edition, for Colab.
        changed: False if the last release was the same, byte for byte.
        exercises, points: how many, and what they are worth together.
    """

    notebook: Path
    wheel: Path
    changed: bool
    exercises: int
    points: float


@dataclass(frozen=True)
class Leak:
    """Something that must not ship, found in what would have."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where} holds {self.what}"


def release(layout: Layout, week: Week) -> Released:
    """Write the week's release and its wheel.

    Raises:
        CourseBroken: the week's folder is not right, or something secret would have shipped.
        UsageError: notebooks/ cannot be written to.
    """
    place = layout.notebooks / week.id
    _writable(layout.notebooks)
    _heal(place)
    with work_folder(layout.notebooks) as work:
        source, target = Path(work, "source"), Path(work, "release")
        stage(week, source / week.id)
        _generate(source, target, week, database=None)
        new = target / week.id
        _tidy(new / f"{week.id}.ipynb")
        wheel = editions.wheel(layout, week)
        found = [*leaks(layout, week, new), *leaks(layout, week, wheel)]
        if found:
            raise CourseBroken(
                f"{week.id} was not released, because it would give something away: "
                + "; ".join(map(str, found[:5]))
                + "."
            )
        _swap(source / week.id, layout.source / week.id)
        changed = _swap(new, place)
    return Released(place / f"{week.id}.ipynb", wheel, changed, len(week.points), sum(week.points.values()))


def register(layout: Layout, week: Week) -> None:
    """Make the week known to the gradebook, as `nbgrader generate_assignment` does. Again is harmless.

    Raises:
        CourseBroken: the gradebook has submissions for other cells than this week has now.
    """
    layout.var.mkdir(parents=True, exist_ok=True)
    if not (layout.source / week.id / f"{week.id}.ipynb").is_file():
        with work_folder(layout.var) as work:
            stage(week, Path(work, week.id))
            _swap(Path(work, week.id), layout.source / week.id)
    with work_folder(layout.var) as work:
        _generate(layout.source, Path(work), week, database=layout.gradebook_url)


# -- staging ---------------------------------------------------------------------------------------------


def stage(week: Week, place: Path) -> Path:
    """Write the notebook with its solutions, and the files that ship beside it, to `place`.

    Raises:
        CourseBroken: a cell's metadata, a solution's marks or an entry of `ships` is wrong.
    """
    place.mkdir(parents=True)
    for inside, path in shipped(week).items():
        (place / inside).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place / inside)
    path = place / f"{week.id}.ipynb"
    path.write_text(notebooks.dumps(staged(week)), encoding="utf-8")
    return path


def shipped(week: Week) -> dict[str, Path]:
    """Files that go beside the notebook, by their path there: what `ships` allows, and nothing else.

    checks.py is not among them: it ships inside the edition.
    """
    found: dict[str, Path] = {}
    for entry in week.ships:
        matches = sorted(week.folder.glob(entry.rstrip("/")))
        if not matches:
            raise CourseBroken(f"{week.id}/week.toml ships {entry!r}, and nothing is there by that name.")
        for match in matches:
            for path in [match] if match.is_file() else sorted(match.rglob("*")):
                inside = path.relative_to(week.folder)
                if (
                    path.is_symlink()
                    or inside.parts[0] in ("hidden", "misconceptions", "right")
                    or ".." in entry
                ):
                    raise CourseBroken(f"{week.id}/week.toml ships {inside}, which must stay in.")
                code = path.suffix in (".py", ".toml", ".pyc") or path.name.startswith(".")
                if code and path == match and inside.as_posix() != "checks.py":
                    raise CourseBroken(f"{week.id}/week.toml ships {inside}; authored code does not ship.")
                if path.is_file() and not code:  # the script that drew a folder's figures stays in
                    found[inside.as_posix()] = path
    return found


def staged(week: Week) -> dict[str, Any]:
    """The week's notebook in nbgrader's terms, solutions inside."""
    cells: list[dict[str, Any]] = []
    seen: set[str] = set()
    for position, authored in enumerate(week.cells()):
        cell = _expanded(week, authored, position)
        name = cell["id"]
        if name in seen:
            raise CourseBroken(
                f"{week.id} has two cells that would be called {name}; one exercise is one cell."
            )
        seen.add(name)
        cells.append(cell)
    exercises = {str(cell["metadata"]["exercise"]) for cell in cells if "exercise" in cell["metadata"]}
    if exercises != set(week.points):
        odd = sorted(exercises ^ set(week.points))
        raise CourseBroken(
            f"{week.id}: every exercise needs one cell and one check cell; look at {', '.join(odd)}."
        )
    return {
        "cells": cells,
        "metadata": {"kernelspec": dict(KERNEL), "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def _expanded(week: Week, authored: Any, position: int) -> dict[str, Any]:
    short = {key: authored["metadata"][key] for key in SHORT_KEYS if key in authored["metadata"]}
    kind, source = str(authored["cell_type"]), str(authored["source"])
    metadata: dict[str, Any] = {key: value for key, value in short.items() if key != "points"}
    tags = authored["metadata"].get("tags")
    if tags:
        metadata["tags"] = list(tags)
    unknown = set(authored["metadata"]) - {*SHORT_KEYS, "tags", "lines_to_next_cell", "editable", "slideshow"}
    if unknown:
        raise CourseBroken(
            f"{week.id}: cell {position + 1} has metadata that means nothing here: {sorted(unknown)}."
        )
    if "exercise" in short:
        name = str(short["exercise"])
        _solution_lines(week, name, source)
        metadata["nbgrader"] = _nbgrader(name, solution=True)
        identity = name
    elif "check" in short:
        if "points" not in short:
            raise CourseBroken(f"{week.id}: the check of {short['check']} states no points.")
        identity = f"{gradebook.CHECK_PREFIX}{short['check']}"
        metadata["nbgrader"] = _nbgrader(identity, grade=True, locked=True, points=float(short["points"]))
    elif "experiment" in short:
        identity = f"experiment-{short['experiment']}"
    else:
        if short.get("generated") == "common_mistakes":
            source = source.rstrip() + "\n\n" + common_mistakes(week)
        elif "generated" in short:
            raise CourseBroken(f"{week.id}: nothing is generated under the name {short['generated']!r}.")
        identity = f"{position:03d}-{hashlib.sha256(source.encode()).hexdigest()[:8]}"
    if "exercise" not in short and (BEGIN in source or END in source):
        raise CourseBroken(
            f"{week.id}: cell {position + 1} has a solution in it and is no exercise; it would ship."
        )
    cell: dict[str, Any] = {"cell_type": kind, "id": identity[:64], "metadata": metadata, "source": source}
    if kind == "code":
        cell |= {"outputs": [], "execution_count": None}
    return cell


def _nbgrader(
    grade_id: str,
    grade: bool = False,
    solution: bool = False,
    locked: bool = False,
    points: float | None = None,
) -> dict[str, Any]:
    found: dict[str, Any] = {
        "grade": grade,
        "grade_id": grade_id,
        "locked": locked,
        "schema_version": 3,
        "solution": solution,
        "task": False,
    }
    return found if points is None else found | {"points": points}


def common_mistakes(week: Week) -> str:
    """What learners mix up, folded by exercise. Titles only: they give nothing away."""
    folds = []
    for exercise in week.exercises:
        if exercise.misconceptions:
            fold = [f"<details><summary>{exercise.id}: believed, but wrong</summary>", ""]
            fold += [f"- {one.text.rstrip('.')}" for one in exercise.misconceptions]
            folds.append("\n".join([*fold, "", "</details>"]))
    return "\n".join(folds)


def _solution_lines(week: Week, name: str, source: str) -> list[str]:
    """The lines between the marks.

    Raises:
        CourseBroken: there are none, or a mark is lonely: the solution would have shipped.
    """
    inside, found, opened = False, [], 0
    for line in source.splitlines():
        if BEGIN in line or END in line:
            if (BEGIN in line) is inside:
                raise CourseBroken(
                    f"{week.id}: exercise {name} has a BEGIN or END SOLUTION without its partner."
                )
            inside, opened = not inside, opened + (BEGIN in line)
        elif inside:
            found.append(line)
    if inside or not opened:
        raise CourseBroken(f"{week.id}: exercise {name} needs {BEGIN} and {END} around its solution.")
    return found


# -- nbgrader --------------------------------------------------------------------------------------------


class NamedStubs(ClearSolutions):  # type: ignore[misc]
    """Takes solutions out; the gap says which one it is when it is run."""

    def preprocess_cell(self, cell: Any, resources: Any, cell_index: int) -> Any:
        name = cell.metadata.get("exercise")
        number = re.match(
            r"week0*(\d+)", str(resources["nbgrader"]["assignment"])
        )  # a week's folder says which
        week = f"week {number[1]}, " if number else ""
        self.code_stub = {"python": f'raise NotImplementedError("{week}exercise {name}")'}
        return super().preprocess_cell(cell, resources, cell_index)


def _generate(source: Path, target: Path, week: Week, database: str | None) -> None:
    """Run nbgrader's generate_assignment from `source` to `target`."""

    config = Config()
    config.CourseDirectory.root = str(source)
    config.CourseDirectory.source_directory = str(source)
    config.CourseDirectory.release_directory = str(target)
    config.CourseDirectory.assignment_id = week.id
    config.CourseDirectory.course_id = gradebook.COURSE_ID
    if database is not None:
        config.CourseDirectory.db_url = database
    directory = CourseDirectory(config=config)
    converter = GenerateAssignment(coursedir=directory, config=config)
    converter.force = True
    converter.no_database = database is None
    converter.preprocessors = [
        LockCells,
        NamedStubs,
        ClearOutput,
        CheckCellMetadata,
        ComputeChecksums,
        *([SaveCells] if database is not None else []),
        CheckCellMetadata,
    ]
    gradebook.programs_on_path()
    said: list[str] = []
    caught: list[BaseException] = []
    converter.log = gradebook.listener(said, caught)
    try:
        with gradebook.quiet():
            converter.start()
    except NbGraderException as problem:
        for one in (problem, *caught):
            trouble = of(one, "the gradebook" if database is None else database.removeprefix("sqlite:///"))
            if trouble is not None:
                raise trouble from None
        reasons = [line for text in said for line in text.splitlines() if "Error" in line] or [str(problem)]
        if any("Cannot add or remove cells" in line for line in reasons):
            raise CourseBroken(
                f"{week.id} has other exercises than the gradebook, which already holds submissions for it; "
                "give the changed week a new folder name, or move the gradebook away."
            ) from None
        raise CourseBroken(f"nbgrader could not release {week.id}: {reasons[-1].strip()}") from None


def _tidy(path: Path) -> None:
    """The released file, in one fixed form."""
    notebook = nbformat.read(path, as_version=4)
    notebook["metadata"] = {"kernelspec": dict(KERNEL), "language_info": {"name": "python"}}
    notebook["nbformat"], notebook["nbformat_minor"] = 4, 5
    nbformat.validate(notebook)
    path.write_text(notebooks.dumps(notebook), encoding="utf-8")


# -- putting it in its place -----------------------------------------------------------------------------


def _writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as problem:
        raise UsageError(
            f"{folder} cannot be written to ({problem.strerror}); nothing was released. Copy or clone the "
            "course to a folder of your own, or name another place with --scratch."
        ) from None


def _same(left: Path, right: Path) -> bool:
    def content(folder: Path) -> dict[str, bytes]:
        return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}

    return left.is_dir() and right.is_dir() and content(left) == content(right)


def _swap(new: Path, place: Path) -> bool:
    """Put `new` where `place` is; True if that changed anything. The old one stays until the new one is
    there.
    """
    if _same(new, place):
        return False
    for path in [new, *new.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    place.parent.mkdir(parents=True, exist_ok=True)
    old = _old(place)
    fresh = place.with_name(f".{place.name}.new-{os.getpid()}")
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.copytree(new, fresh)
    if place.exists():
        place.rename(old)
    fresh.rename(place)
    shutil.rmtree(old, ignore_errors=True)
    return True


def _old(place: Path) -> Path:
    return place.with_name(f".{place.name}.old")


def _heal(place: Path) -> None:
    """If a release was killed between its last two steps, bring the old one back."""
    old = _old(place)
    if old.is_dir():
        if place.exists():
            shutil.rmtree(old)
        else:
            old.rename(place)


# -- nothing secret ships --------------------------------------------------------------------------------


def leaks(layout: Layout, week: Week, place: Path) -> list[Leak]:
    """Secrets of `week` in a folder, a wheel or another archive: names and code of hidden checks, solutions,
    withheld references and misconceptions, and what misconceptions tell a learner.

    Notebooks are looked through whole: sources, metadata and outputs.
    """
    secrets = _Secrets(layout, week)
    found: list[Leak] = []
    for name, raw in _members(place):
        if name.endswith(".ipynb"):
            for where, text in _strings(notebooks.read(raw), name):
                found += secrets.inside(where, text)
        elif Path(name).suffix not in (".safetensors", ".png", ".jpg", ".pyc", ".woff2"):
            found += secrets.inside(name, raw.decode("utf-8", "replace"))
        if name in secrets.files:
            found.append(Leak(name, "a module that the week withholds"))
    return list(dict.fromkeys(found))


class _Secrets:
    def __init__(self, layout: Layout, week: Week) -> None:
        gone = editions.withheld(layout, week)
        self.files = {name.replace(".", "/") + ".py" for name in gone}
        self.names: dict[str, str] = {}
        self.sentences: dict[str, str] = {}
        self.runs: dict[tuple[str, ...], str] = {}
        for exercise in week.exercises:
            for check in exercise.hidden_checks:
                self.names[check.name] = f"the name of a hidden check of {exercise.id}"
            for wrong in exercise.misconceptions:
                if wrong.tell:
                    self.sentences[_words(wrong.tell)] = (
                        f"what a learner is told about {exercise.id}/{wrong.name}"
                    )
        solutions = {
            f"the solution of {cell['metadata']['exercise']}": "\n".join(
                _solution_lines(week, str(cell["metadata"]["exercise"]), cell["source"])
            )
            for cell in week.cells()
            if "exercise" in cell["metadata"]
        }
        sources = dict(solutions)
        for folder, what in (
            ("hidden", "hidden checks"),
            ("misconceptions", "a misconception"),
            ("right", "an answer"),
        ):
            for path in sorted((week.folder / folder).rglob("*.py")):
                sources[f"{what} ({path.relative_to(week.folder)})"] = path.read_text(encoding="utf-8")
        for name in sorted(gone):
            for path in editions.sources(layout, name):
                sources[f"the reference {name}"] = path.read_text(encoding="utf-8")
        # Signatures and imports are public: the exercise states them. So is all of course_lib that ships.
        stated = [
            _without_solution(cell["source"]) for cell in week.cells() if "exercise" in cell["metadata"]
        ]
        shipped = [
            raw.decode("utf-8") for name, raw in editions.files(layout, week).items() if name.endswith(".py")
        ]
        for texts, length in ((solutions, SOLUTION_RUN), (sources, SECRET_RUN)):
            public = {run for text in [*stated, *shipped] for run in _runs(text, length)}
            for what, text in texts.items():
                for run in _runs(text, length):
                    if run not in public:
                        self.runs.setdefault(run, what)

    def inside(self, where: str, text: str) -> Iterator[Leak]:
        for name, what in self.names.items():
            if re.search(rf"\b{re.escape(name)}\b", text):
                yield Leak(where, what)
        words = _words(text)
        for sentence, what in self.sentences.items():
            if sentence in words:
                yield Leak(where, what)
        for length in (SOLUTION_RUN, SECRET_RUN):
            for run in _runs(text, length):
                if run in self.runs:
                    yield Leak(where, f"code of {self.runs[run]}: {' '.join(run[:SOLUTION_RUN])}")
                    return


_STUB = 'raise NotImplementedError("week, exercise")'


def _without_solution(source: str) -> str:
    return re.sub(rf"[^\n]*{re.escape(BEGIN)}.*?{re.escape(END)}[^\n]*", _STUB, source, flags=re.DOTALL)


def _words(text: str) -> str:
    return " ".join(re.findall(r"[a-z0-9]+", text.lower()))


_TOKEN = re.compile(r"\d+\.?\d*|\w+|[^\w\s]")


def _runs(text: str, length: int) -> Iterator[tuple[str, ...]]:
    """Every run of `length` tokens of code, without comments, docstrings and imports.

    Text that is no Python, such as prose with a solution pasted into it, is cut by the same rule for tokens.
    A shorter text is one run.
    """
    tokens = _tokens(text)
    if len(tokens) >= 6:
        for start in range(max(len(tokens) - length, 0) + 1):
            yield tuple(tokens[start : start + length])


@functools.lru_cache(maxsize=4096)
def _tokens(text: str) -> list[str]:
    return _TOKEN.findall(_code_only(text))


def _code_only(text: str) -> str:
    """Comments, docstrings and imports out, where it reads as Python."""
    kept: list[str] = []
    try:
        previous = tokenize.NEWLINE
        line: list[str] = []
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type in (tokenize.NEWLINE, tokenize.NL):
                if line and line[0] not in ("import", "from"):
                    kept += line
                line, previous = [], token.type
            elif token.type == tokenize.STRING and previous in (
                tokenize.NEWLINE,
                tokenize.NL,
                tokenize.INDENT,
            ):
                previous = token.type
            elif token.type not in (tokenize.COMMENT, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER):
                line.append(token.string)
                previous = token.type
            elif token.type == tokenize.INDENT:
                previous = token.type
        return " ".join(kept + line)
    except (tokenize.TokenError, SyntaxError):
        return text


def _members(place: Path) -> Iterator[tuple[str, bytes]]:
    if place.is_dir():
        for path in sorted(place.rglob("*")):
            if path.is_file():
                yield path.relative_to(place).as_posix(), path.read_bytes()
    else:
        with zipfile.ZipFile(place) as archive:
            for name in sorted(archive.namelist()):
                yield name, archive.read(name)


def _strings(node: Any, where: str) -> Iterator[tuple[str, str]]:
    """Every text in a notebook's tree, with a name for where it stands."""
    if isinstance(node, str):
        yield where, node
    elif isinstance(node, Mapping):
        for key, value in node.items():
            yield where, str(key)
            yield from _strings(value, where)
    elif isinstance(node, Iterable):
        for position, value in enumerate(node):
            yield from _strings(value, f"{where}, cell {position + 1}" if "cell " not in where else where)


def solved(week: Week, answers: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The notebook as a learner would hand it in: every gap filled.

    Args:
        answers: source by exercise, in place of the authored solution.
    """
    notebook = copy.deepcopy(staged(week))
    for cell in notebook["cells"]:
        name = cell["metadata"].get("exercise")
        if name is not None:
            own = "\n".join(
                line for line in cell["source"].splitlines() if BEGIN not in line and END not in line
            )
            cell["source"] = (answers or {}).get(name, own)
    return notebook
