"""Reads a week's folder. The only module that opens solutions/, and the only one that knows its form.

Nothing lists the weeks: a folder with a `week.toml` is one.
"""

import ast
import difflib
import functools
import hashlib
import importlib.util
import inspect
import re
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import jupytext

from course_lib.checking import Check, checks_in
from grading.errors import CourseBroken, UsageError
from grading.layout import Layout
from grading.limits import Limits
from grading.limits import read as read_limits


@dataclass(frozen=True)
class Answer:
    """An authored answer to an exercise: the reference, a misconception, or a differently written right one.

    Args:
        name: the file's name without its ending.
        found: the class or function.
        text: the first sentence of its docstring, without its mark.
        tell: for a misconception, the sentence for the learner.
        caught_by: for a misconception, the checks that must fail it.
    """

    name: str
    found: Any
    text: str = ""
    tell: str = ""
    caught_by: tuple[str, ...] = ()


@dataclass(frozen=True)
class Exercise:
    """One gap to fill, with everything that judges it."""

    id: str
    subject: str
    points: float
    reference: Any = field(repr=False)
    checks: tuple[Check, ...] = field(repr=False)
    misconceptions: tuple[Answer, ...] = field(repr=False, default=())
    right: tuple[Answer, ...] = field(repr=False, default=())

    @property
    def hidden_checks(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if not check.public)


@dataclass(frozen=True)
class Week:
    """A whole week, as its folder states it. The parts that run authored code load on first use."""

    id: str
    folder: Path
    number: int
    title: str
    minutes: int
    objectives: tuple[str, ...]
    sources: tuple[str, ...]
    needs: tuple[str, ...]
    ships: tuple[str, ...]
    withhold: tuple[str, ...]
    limits: Limits

    @property
    def notebook_source(self) -> Path:
        return self.folder / f"{self.id}.py"

    @property
    def points(self) -> dict[str, float]:
        """Points by exercise, in the notebook's order, from the metadata of its check cells."""
        points: dict[str, float] = {}
        for cell in self.cells():
            exercise = cell["metadata"].get("check")
            if exercise is not None:
                points[str(exercise)] = float(cell["metadata"]["points"])
        return points

    def cells(self) -> list[Any]:
        """The notebook's cells as jupytext reads them: solutions inside, short metadata."""
        return list(_read_notebook(self.notebook_source, self.notebook_source.stat().st_mtime_ns).cells)

    @functools.cached_property
    def exercises(self) -> tuple[Exercise, ...]:
        """Every exercise with its checks, misconceptions and right variants. Runs authored code."""
        public = checks_in(vars(load_file(self.folder / "checks.py")))
        return tuple(self._exercise(name, points, public) for name, points in self.points.items())

    @functools.cached_property
    def imports(self) -> tuple[str, ...]:
        """Modules that the notebook imports in cells which grading runs, and that no learner writes."""
        names = {"course_lib.driver": None}
        for cell in self.cells():
            if cell["cell_type"] == "code" and "experiment" not in cell["metadata"]:
                names |= dict.fromkeys(_imports(cell["source"]))
        return tuple(name for name in names if name not in self.withhold)

    def exercise(self, exercise_id: str) -> Exercise:
        for exercise in self.exercises:
            if exercise.id == exercise_id:
                return exercise
        raise UsageError(did_you_mean("exercise", exercise_id, list(self.points)))

    @functools.cached_property
    def suite(self) -> str:
        """sha256 over everything that can change a verdict of this week."""
        digest = hashlib.sha256()
        roots = [self.folder, Path(__file__).parent, Path(__file__).parent.parent / "course_lib"]
        for root in roots:
            for path in sorted(root.rglob("*")):
                if path.is_file() and path.suffix in (".py", ".toml"):
                    digest.update(
                        path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0"
                    )
        return digest.hexdigest()

    def _exercise(self, name: str, points: float, public: Sequence[Check]) -> Exercise:
        module = load_file(self.folder / "hidden" / f"{name}.py")
        reference = getattr(module, "REFERENCE", None)
        if reference is None:
            raise CourseBroken(
                f"hidden/{name}.py of {self.id} names no REFERENCE; set it to the class or function."
            )
        checks = [check for check in public if check.exercise == name]
        checks += [check for check in checks_in(vars(module)) if not check.public and check not in checks]
        strangers = [check.name for check in checks if check.exercise != name]
        if strangers or not checks:
            raise CourseBroken(
                f"hidden/{name}.py of {self.id} holds checks of another exercise, or none: {strangers}."
            )
        subject = reference.__name__
        return Exercise(
            id=name,
            subject=subject,
            points=points,
            reference=reference,
            checks=tuple(checks),
            misconceptions=tuple(self._answers("misconceptions", name, subject)),
            right=tuple(self._answers("right", name, subject)),
        )

    def _answers(self, kind: str, exercise: str, subject: str) -> list[Answer]:
        answers = []
        for path in sorted((self.folder / kind / exercise).glob("*.py")):
            module = load_file(path)
            found = getattr(module, subject, None)
            if found is None:
                raise CourseBroken(f"{path.name} in {kind}/{exercise} of {self.id} defines no {subject}.")
            answers.append(Answer(path.stem, found, *_sections(inspect.getdoc(module) or "")))
        return answers


def all_weeks(layout: Layout) -> list[Week]:
    """Every week of the course, in order."""
    return [load_week(path.parent) for path in sorted(layout.solutions.glob("week*/week.toml"))]


def find_week(layout: Layout, name: str) -> Week:
    """A week by its id, its number, or the start of its id: "week02_bridge_patterns", "02", "2", "week02".

    Raises:
        UsageError: there is none; known ones are listed, with a guess.
    """
    known = all_weeks(layout)
    wanted = name.strip().rstrip("/")
    for week in known:
        if (
            week.id == wanted
            or (wanted.isdigit() and int(wanted) == week.number)
            or week.id.split("_")[0] == wanted
        ):
            return week
    raise UsageError(did_you_mean("week", name, [week.id for week in known]))


def load_week(folder: Path) -> Week:
    """Read one week's week.toml.

    Raises:
        CourseBroken: a key is missing, unknown, or of another type, or a limit cannot be kept.
    """
    path = folder / "week.toml"
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as problem:
        raise CourseBroken(f"{folder.name}/week.toml cannot be read: {problem}") from None
    known = {"week", "title", "minutes", "objectives", "sources", "needs", "ships", "withhold", "limits"}
    if set(data) - known:
        raise CourseBroken(
            f"{folder.name}/week.toml has unknown keys {sorted(set(data) - known)}; known: {sorted(known)}."
        )
    try:
        return Week(
            id=folder.name,
            folder=folder,
            number=int(data["week"]),
            title=str(data["title"]),
            minutes=int(data["minutes"]),
            objectives=tuple(data["objectives"]),
            sources=tuple(data["sources"]),
            needs=tuple([data["needs"]] if isinstance(data["needs"], str) else data["needs"]),
            ships=tuple(data["ships"]),
            withhold=tuple(data["withhold"]),
            limits=read_limits(folder.name, data.get("limits", {})),
        )
    except (KeyError, TypeError, ValueError) as problem:
        raise CourseBroken(f"{folder.name}/week.toml is incomplete or has a wrong type: {problem}") from None


def load_file(path: Path) -> ModuleType:
    """Import one authored file by its path, under a name of its own."""
    name = (
        "course_week_" + re.sub(r"\W", "_", str(path.parent.name + "_" + path.stem)) + f"_{abs(hash(path)):x}"
    )
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise CourseBroken(f"{path} is missing.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # inspect and dataclasses look a module up by its name
    try:
        spec.loader.exec_module(module)
    except Exception as problem:
        del sys.modules[name]
        raise CourseBroken(f"{path} does not import: {type(problem).__name__}: {problem}") from problem
    return module


def defines(source: str) -> set[str]:
    """Names that a cell's source defines at its top level; empty if it does not parse."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()
    return {
        node.name
        for node in tree.body
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
    }


def _imports(source: str) -> list[str]:
    """Modules that a cell imports anywhere in it; empty if it does not parse."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return []
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.append(node.module)
    return names


def did_you_mean(what: str, given: str, known: list[str]) -> str:
    """One sentence for a name that does not exist."""
    close = difflib.get_close_matches(given, known, n=1, cutoff=0.4)
    guess = f" Did you mean {close[0]}?" if close else ""
    return f"there is no {what} {given!r}; known: {', '.join(known) or 'none'}.{guess}"


@functools.lru_cache(maxsize=16)
def _read_notebook(path: Path, stamp: int) -> Any:
    try:
        return jupytext.read(path, fmt="py:percent")
    except Exception as problem:
        raise CourseBroken(f"{path.name} cannot be read as a notebook: {problem}") from problem


def _sections(docstring: str) -> tuple[str, str, tuple[str, ...]]:
    """(text, tell, names of the checks that catch it) of a misconception's or variant's docstring."""
    paragraphs = re.split(r"\n\s*(?=(?:Tell|Caught by):)", docstring.strip())
    text = re.sub(r"^(Misconception|Right):\s*", "", paragraphs[0].strip())
    parts = {name: " ".join(body.split()) for name, body in (p.split(":", 1) for p in paragraphs[1:])}
    caught = tuple(re.findall(r"\w+", parts.get("Caught by", "")))
    return " ".join(text.split()), parts.get("Tell", ""), caught
