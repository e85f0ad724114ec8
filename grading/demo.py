"""A whole class, made up and graded: what an instructor sees in a term, in three minutes.

The class is made from the week itself: its release, its solutions, its right variants and its misconceptions,
as real notebooks in real files, and each with the score that it must get. That score is computed here, in
this process, without a kernel, a sandbox or a gradebook; so what the demo shows is that the long way round
gives the same.
"""

import ast
import copy
import json
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from course_lib.checking import Subject, run_check
from grading import collect, editions, flow, gradebook, notebooks, record, release
from grading.errors import CourseBroken
from grading.layout import Layout
from grading.weeks import Answer, Exercise, Week

SEED = 20_260_101
Bars = Callable[[], AbstractContextManager[Callable[[str, int, int], None]]]


@dataclass(frozen=True)
class Handed:
    """One made-up submission.

    Args:
        student: who handed it in.
        what: what it is, for the table.
        raw: the file's bytes.
        expected: the score it must get.
    """

    student: str
    what: str
    raw: bytes
    expected: float


def run(
    layout: Layout,
    week: Week,
    *,
    workers: int,
    sandbox: str,
    console: Console,
    bars: Bars,
) -> list[str]:
    """Release, make the class, collect, grade, and show it. Returns who did not get what was expected."""
    started = time.monotonic()
    home = layout.build / "demo"
    shutil.rmtree(home, ignore_errors=True)
    place = Layout(layout.root, home, home / "notebooks")
    console.rule(f"[bold]{week.title}[/]", align="left")

    released = release.release(place, week)
    _line(console, "released", f"{released.exercises} exercises, {released.points:g} points", place.notebooks)

    class_ = list(handed_in(place, week))
    inbox = place.inbox
    inbox.mkdir(parents=True)
    for one in class_:
        (inbox / f"{one.student}.ipynb").write_bytes(one.raw)
    _line(console, "handed in", f"{len(class_)} notebooks", inbox)

    taken = collect.collect(place, week, inbox)
    _line(
        console, "collected", f"{len(taken.students)} learners, each with a receipt", place.var / "receipts"
    )

    with bars() as progress:
        graded = flow.grade(
            place, week, workers=workers, sandbox=sandbox, progress=progress, say=console.print
        )
    _line(console, "graded", f"in {time.monotonic() - started:.0f} s with {workers} workers", place.verdicts)

    held = gradebook.held(place, week)
    wrong = _table(console, week, class_, {one.student: one for one in graded}, held)
    same = [
        student
        for student, one in {one.student: one for one in graded}.items()
        if one.verdict and student in held and abs(held[student].total - one.verdict.score) < record.CLOSE
    ]
    console.print(
        f"nbgrader's own gradebook, read back through nbgrader: {len(same)} of {len(class_)} scores "
        "are the verdicts'."
    )
    first = next((one.page for one in graded if one.page), place.feedback)
    _line(console, "feedback", "one page a learner, such as", first)
    _line(console, "gradebook", "nbgrader's", place.gradebook)
    console.print(f"{time.monotonic() - started:.0f} s in all")
    wrong += [one.student for one in class_ if one.student not in same and one.student not in wrong]
    return wrong


def _line(console: Console, what: str, much: str, place: Path) -> None:
    try:
        shown = place.relative_to(Path.cwd())
    except ValueError:
        shown = place
    console.print(f"[bold]{what:>10}[/]  {escape(much)}  [dim]{escape(str(shown))}[/]")


def _table(
    console: Console,
    week: Week,
    class_: list[Handed],
    graded: Mapping[str, flow.Graded],
    held: Mapping[str, gradebook.Held],
) -> list[str]:
    table = Table(box=None, pad_edge=False)
    for name in ("learner", "handed in", "score", "expected", "gradebook", "s"):
        table.add_column(name, justify="left" if name in ("learner", "handed in") else "right", no_wrap=True)
    table.add_column("why", max_width=60)
    wrong = []
    for one in class_:
        row = graded[one.student]
        score = row.verdict.score if row.verdict else None
        right = score is not None and abs(score - one.expected) < record.CLOSE
        if not right:
            wrong.append(one.student)
        book = f"{held[one.student].total:g}" if one.student in held else "none"
        reason = flow.why(row.verdict) if row.verdict else row.problem
        mark = "" if right else "[red]"
        table.add_row(
            *(
                one.student,
                one.what,
                f"{mark}{'none' if score is None else f'{score:g}'}",
                f"{one.expected:g}",
            ),
            *(book, "again" if row.stored else f"{row.seconds:.1f}", escape(reason)),
        )
    console.print(table)
    return wrong


# -- the class -------------------------------------------------------------------------------------------


def handed_in(layout: Layout, week: Week) -> Iterator[Handed]:
    """The class. Everything is derived from the week's own folder; nothing here knows which week it is."""
    exercises = week.exercises
    full = sum(one.points for one in exercises)
    untouched = notebooks.read(layout.notebooks / week.id / f"{week.id}.ipynb")
    parts = _Sources(layout, week)
    solution = release.solved(week)

    def by(*wrong: tuple[Exercise, Answer]) -> tuple[dict[str, Any], float]:
        """The solution with some answers replaced, and what it is worth."""
        found = release.solved(
            week, {one.id: parts.of("misconceptions", one, answer) for one, answer in wrong}
        )
        return found, round(full - sum(one.points - worth(one, answer) for one, answer in wrong), 2)

    yield Handed("ada", "the solution", _file(solution), full)
    for number, student in enumerate(("ben", "chloe")):
        variants = {
            one.id: parts.of("right", one, one.right[number]) for one in exercises if len(one.right) > number
        }
        yield Handed(student, "right, written another way", _file(release.solved(week, variants)), full)
    yield Handed("dilan", "untouched", _file(untouched), 0.0)

    half = copy.deepcopy(untouched)
    done = [one for one in exercises[: (len(exercises) + 1) // 2]]
    for cell in half["cells"]:
        if cell["metadata"].get("exercise") in {one.id for one in done}:
            cell["source"] = _cell_of(solution, cell["metadata"]["exercise"])
    yield Handed("emma", "half done", _file(half), sum(one.points for one in done))

    mixed = [
        (one, answer) for one in exercises for answer in one.misconceptions if parts.stands_alone(one, answer)
    ]
    first = list({one.id: (one, answer) for one, answer in reversed(mixed)}.values())[::-1]
    for student, pair in zip(("farid", "greta", "hugo", "ines"), _spread(first, 4), strict=False):
        found, score = by(pair)
        yield Handed(student, f"mix-up in {pair[0].id}", _file(found), score)
    last = list({one.id: (one, answer) for one, answer in mixed}.values())
    found, score = by(*last)
    yield Handed("jonas", f"a mix-up in {len(last)} exercises", _file(found), score)

    yield Handed("kofi", "saved by Colab", _file(colab(solution)), full)
    bare = copy.deepcopy(solution)
    for cell in bare["cells"]:
        cell["metadata"] = {}
        cell.pop("id")
    yield Handed("lena", "all metadata lost", _file({**bare, "metadata": {}, "nbformat_minor": 2}), full)
    yield Handed("milo", "warns and prints a lot", _file(with_cells(solution, NOISE)), full)
    yield Handed("nora", "an early cell raises", _file(with_cells(solution, RAISES)), full)
    yield Handed("omar", "a cell that never ends", _file(with_cells(solution, NEVER_ENDS)), full)
    yield Handed("pia", "a cell that kills its kernel", _file(with_cells(solution, KILLS)), full)
    found, score = by(*_spread(first, 3))
    yield Handed("quinn", "three mix-ups, tampers with asserts", _file(tampering(found)), score)
    yield Handed("rosa", "handed in an empty file", b"", 0.0)


def worth(exercise: Exercise, answer: Answer) -> float:
    """What an answer earns, asked in this very process."""
    passed = total = 0.0
    for check in exercise.checks:
        subject = Subject.here(exercise.subject, answer.found)
        reference = Subject.here(exercise.reference.__name__, exercise.reference)
        total += check.weight
        passed += check.weight * run_check(check, subject, reference, SEED).passed
    return round(exercise.points * passed / total, 2)


NOISE = """
import sys, warnings
for line in range(20_000):
    print("still going", line)
for line in range(500):
    warnings.warn(f"this is not the end of the world, part {line}")
    print("but it looks like it", file=sys.stderr)
"""
RAISES = 'raise ValueError("I was just trying something")'
NEVER_ENDS = "while True:\n    pass"
KILLS = "import os\n\nos._exit(1)"
TAMPERS = """
import ast

import torch
from IPython import get_ipython

torch.allclose = torch.equal = lambda *a, **k: True


class NoAsserts(ast.NodeTransformer):
    def visit_Assert(self, node):
        return ast.Pass()


get_ipython().ast_transformers.append(NoAsserts())
get_ipython().display_formatter.formatters["text/plain"].for_type(float, lambda *a: a[1].text("1000.0"))
import course_lib.checking as checking

checking.expect_same = checking.expect = lambda *a, **k: None
check = lambda *a, **k: print("passed")
"""


def with_cells(notebook: Mapping[str, Any], *sources: str) -> dict[str, Any]:
    """A copy with cells of the learner's own, early, after the imports."""
    found = copy.deepcopy(dict(notebook))
    place = next(n for n, cell in enumerate(found["cells"]) if "exercise" in cell["metadata"])
    own: list[notebooks.Cell] = [
        {
            "cell_type": "code",
            "id": f"my-own-{n}",
            "metadata": {},
            "source": text.strip(),
            "outputs": [],
            "execution_count": None,
        }
        for n, text in enumerate(sources)
    ]
    found["cells"][place:place] = own
    return found


def tampering(notebook: Mapping[str, Any]) -> dict[str, Any]:
    """A copy that goes for the grader: comparisons, asserts, displays, check cells, and forged results."""
    found = with_cells(notebook, TAMPERS)
    for cell in found["cells"]:
        if "check" in cell["metadata"]:
            cell["source"] = "1000.0"
            cell["metadata"].setdefault("tags", []).append("skip-execution")
            cell["outputs"] = [
                {
                    "output_type": "execute_result",
                    "data": {"text/plain": "1000.0"},
                    "metadata": {},
                    "execution_count": 1,
                }
            ]
    return found


def colab(notebook: Mapping[str, Any]) -> dict[str, Any]:
    """What Colab makes of a notebook: nbformat 4.0, no cell ids, its own metadata, outputs in place."""
    cells = []
    for number, cell in enumerate(notebook["cells"]):
        saved = {key: value for key, value in cell.items() if key not in ("id", "metadata")}
        saved["metadata"] = {"id": f"colab{number:07d}"}
        if cell["cell_type"] == "code":
            saved["metadata"] |= {
                "outputId": f"out-{number}",
                "colab": {"base_uri": "https://localhost:8080/"},
            }
        cells.append(saved)
    metadata = {
        "colab": {"name": "Copy of a notebook", "provenance": [], "toc_visible": True},
        "kernelspec": {"display_name": "Python 3", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 0}


def _spread(pairs: list[Any], count: int) -> list[Any]:
    """`count` of them, evenly over the whole list."""
    count = min(count, len(pairs))
    return [pairs[n * len(pairs) // count] for n in range(count)]


def _cell_of(notebook: Mapping[str, Any], exercise: str) -> str:
    return str(
        next(cell["source"] for cell in notebook["cells"] if cell["metadata"].get("exercise") == exercise)
    )


def _file(notebook: Mapping[str, Any]) -> bytes:
    return json.dumps(notebook, indent=1, ensure_ascii=False).encode() + b"\n"


# -- answers as a learner would hand them in -------------------------------------------------------------


class _Sources:
    """The text of an authored answer, without what it borrows from a reference that learners do not have.

    A misconception is written as one change to the reference, so it imports it. A learner's notebook cannot:
    what is borrowed is written into the cell, as far as it is needed.
    """

    def __init__(self, layout: Layout, week: Week) -> None:
        self.layout = layout
        self.week = week
        self.gone = editions.withheld(layout, week)
        self.subjects = {one.subject for one in week.exercises}

    def of(self, kind: str, exercise: Exercise, answer: Answer) -> str:
        path = self.week.folder / kind / exercise.id / f"{answer.name}.py"
        text, taken = self._flat(path.read_text(encoding="utf-8"))
        if taken & (self.subjects - {exercise.subject}):
            raise CourseBroken(
                f"{path.name} borrows {taken}, which would overwrite another exercise's answer."
            )
        return _apart(text, exercise)

    def stands_alone(self, exercise: Exercise, answer: Answer) -> bool:
        try:
            self.of("misconceptions", exercise, answer)
        except CourseBroken:
            return False
        return True

    def _flat(self, source: str) -> tuple[str, set[str]]:
        """The source with borrowed definitions in place of their imports, and the names that this defines."""
        tree = ast.parse(source)
        lines = source.splitlines()
        pieces: list[str] = []
        taken: set[str] = set()
        for node in tree.body:
            text = "\n".join(lines[_first_line(node) - 1 : node.end_lineno])
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                continue  # the docstring says which mistake it is
            if isinstance(node, ast.ImportFrom) and node.module in self.gone:
                for alias in node.names:
                    borrowed, names = self._definition(str(node.module), alias.name)
                    pieces.append(borrowed)
                    taken |= names
                    if alias.asname and alias.asname != alias.name:
                        pieces.append(f"{alias.asname} = {alias.name}")
            else:
                pieces.append(text)
        return "\n\n".join(pieces) + "\n", taken

    def _definition(self, module: str, name: str) -> tuple[str, set[str]]:
        """One name's definition in a withheld module, with everything there that it needs."""
        (path,) = editions.sources(self.layout, module)
        source = path.read_text(encoding="utf-8")
        lines = source.splitlines()
        nodes = [node for node in ast.parse(source).body if not _is_docstring(node)]
        defined = {each: node for node in nodes for each in _names(node)}
        if name not in defined:
            raise CourseBroken(f"{module} defines no {name}.")
        wanted, todo = {name}, [name]
        while todo:
            for node in ast.walk(defined[todo.pop()]):
                if isinstance(node, ast.Name) and node.id in defined and node.id not in wanted:
                    wanted.add(node.id)
                    todo.append(node.id)
        taken = set(wanted)
        pieces = []
        for node in nodes:
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                text, more = self._flat("\n".join(lines[node.lineno - 1 : node.end_lineno]))
                if not (isinstance(node, ast.ImportFrom) and node.module in self.gone) or wanted & _names(
                    node
                ):
                    pieces.append(text.strip())
                    taken |= more
            elif _names(node) & wanted:
                pieces.append("\n".join(lines[_first_line(node) - 1 : node.end_lineno]))
        return "\n\n".join(pieces), taken


def _apart(source: str, exercise: Exercise) -> str:
    """The source with helpers named after their exercise: two cells must not share one `reference`."""
    nodes = [node for node in ast.parse(source).body if not isinstance(node, (ast.Import, ast.ImportFrom))]
    for name in sorted({name for node in nodes for name in _names(node)} - {exercise.subject}):
        source = re.sub(rf"(?<![\w.]){re.escape(name)}\b", f"{name}_of_{exercise.id}", source)
    return source


def _first_line(node: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(one.lineno for one in decorators)])


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _names(node: ast.stmt) -> set[str]:
    """What a statement at a module's top level defines."""
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return {node.name}
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return {(alias.asname or alias.name).split(".")[0] for alias in node.names}
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return {target.id for target in targets if isinstance(target, ast.Name)}
