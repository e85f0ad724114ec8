"""Verdicts -> gradebook, through nbgrader's own autograde.

nbgrader keeps its life-cycle: `Autograde` runs, the gradebook is its own, and formgrader, manual grading and
feedback work on what it leaves. Three of its steps are given to classes here, by name, in nbgrader_config.py:

    Repair   before anything else: a canonical notebook of the release's cells and the learner's sources
    Judge    where Execute stood: writes the marks that were given outside the sandbox into the graded cells
    Verify   after SaveAutoGrades: what the gradebook holds is what the verdict says, or there is no grade

So `nbgrader autograde` and formgrader's button work by themselves too; a submission without a verdict is
evaluated there and then. nbgrader reads a cell's score from its outputs: an error or any stderr is nothing,
the first result that is a number is the score, and everything else is full marks. Judge therefore always
writes one clamped, finite number.
"""

import contextlib
import functools
import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from nbconvert.exporters import NotebookExporter
from nbconvert.preprocessors import ClearMetadataPreprocessor
from nbformat.notebooknode import NotebookNode
from nbgrader import utils
from nbgrader.api import Gradebook
from nbgrader.converters import Autograde
from nbgrader.converters.base import NbGraderException
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import (
    AssignLatePenalties,
    CheckCellMetadata,
    ClearOutput,
    DeduplicateIds,
    IgnorePattern,
    LimitOutput,
    NbGraderPreprocessor,
    OverwriteCells,
    OverwriteKernelspec,
    SaveAutoGrades,
)
from traitlets.config import Config

import grading
from grading import gradebook, harmless, notebooks
from grading import layout as layouts
from grading.errors import CourseBroken, GradingError, SubmissionError
from grading.gradebook import CHECK_PREFIX, Held
from grading.layout import Layout
from grading.records import ExerciseRecord, Verdict
from grading.store import Store, write_whole
from grading.trouble import of
from grading.weeks import Week, find_week

CLOSE = 1e-6
NOTE = "course_note"  # in a notebook's metadata: why the file could not be read, on its way to Repair


@dataclass(frozen=True)
class Recorded:
    """What became of one verdict. `problem` is a sentence when it could not be recorded: never a zero."""

    student: str
    score: float | None
    changed: bool
    problem: str = ""


def record(
    layout: Layout,
    week: Week,
    verdicts: Mapping[str, Verdict],
    on_done: Callable[[Recorded], None] | None = None,
    again: bool = False,
) -> list[Recorded]:
    """Put verdicts into the gradebook, by student. A verdict that is there already is left alone.

    Args:
        verdicts: by student, as `collect` named them; each one's notebook lies in var/submitted.
        on_done: called after each, for a progress bar.
        again: record also those that are there already.

    Raises:
        GradingError: the release is missing, or the gradebook cannot be opened.
        MachineTrouble: a full disk, or a gradebook that another program holds. It would meet every
            submission, so it is no problem of one: recording ends, and goes on when it is run again.
    """
    results = []
    with recorder(layout, week, again) as one:
        for student, verdict in sorted(verdicts.items()):
            results.append(one(student, verdict))
            if on_done is not None:
                on_done(results[-1])
    return results


@contextlib.contextmanager
def recorder(layout: Layout, week: Week, again: bool = False) -> Iterator[Callable[[str, Verdict], Recorded]]:
    """A function that records one student's verdict, for a class whose verdicts come one by one.

    Args:
        again: record also what is there already.

    Raises:
        GradingError: the release is missing, or the gradebook cannot be opened.
        MachineTrouble: as `record`.
    """
    if not (layout.notebooks / week.id / f"{week.id}.ipynb").is_file():
        raise CourseBroken(f"{week.id} has no release; run `course release --week {week.number:02d}` first.")
    gradebook.programs_on_path()
    held = gradebook.held(layout, week)

    def one(student: str, verdict: Verdict) -> Recorded:
        if not again and _is_there(layout, week, student, verdict, held.get(student)):
            return Recorded(student, verdict.score, changed=False)
        return _record_one(layout, week, student, verdict)

    with gradebook.one_engine():
        yield one


# -- one submission through nbgrader ---------------------------------------------------------------------


def _record_one(layout: Layout, week: Week, student: str, verdict: Verdict) -> Recorded:
    said: list[str] = []
    caught: list[BaseException] = []
    try:
        _autograde(layout, week, student, verdict, said, caught)
        write_whole(_mark(layout, week, student), f"{_digest(verdict)}\n".encode(), sync=False)
    except (NbGraderException, GradingError, OSError) as problem:
        for one in (problem, *caught):
            trouble = of(one, layout.gradebook)
            if trouble is not None:
                raise trouble from None
        lines = [line.strip() for text in said for line in text.splitlines() if line.strip()]
        reasons = [line for line in lines if "Error" in line or "Broken" in line]
        return Recorded(student, None, changed=False, problem=(reasons or [str(problem)])[-1])
    return Recorded(student, verdict.score, changed=True)


def _autograde(
    layout: Layout, week: Week, student: str, verdict: Verdict, said: list[str], caught: list[BaseException]
) -> None:
    config = Config()
    config.CourseDirectory.root = str(layout.root)
    config.CourseDirectory.course_id = gradebook.COURSE_ID
    config.CourseDirectory.source_directory = str(layout.source)
    config.CourseDirectory.release_directory = str(layout.notebooks)
    config.CourseDirectory.submitted_directory = str(layout.submitted)
    config.CourseDirectory.autograded_directory = str(layout.autograded)
    config.CourseDirectory.db_url = layout.gradebook_url
    config.CourseDirectory.assignment_id = week.id
    config.CourseDirectory.student_id = student
    config.OverwriteCells.add_missing_cells = True
    # Checked once, when all steps are done: what comes in was put right by Repair.
    config.Reader.optimistic_validation = True
    directory = CourseDirectory(config=config)

    class JudgeThis(Judge):
        def verdict_for(self, resources: Any) -> Verdict:
            raw = notebooks.load_bytes(_submitted_path(self, resources), cap_mb=1000)
            if hashlib.sha256(raw).hexdigest() != verdict.submission:
                raise CourseBroken(f"{student} handed in something newer meanwhile; grade again.")
            return verdict

    converter = Autograde(coursedir=directory, config=config)
    converter.force = True
    converter.exporter_class = Reader
    converter.sanitize_preprocessors = list(SANITIZE)
    converter.autograde_preprocessors = [JudgeThis if one is Judge else one for one in AUTOGRADE]
    converter.log = gradebook.listener(said, caught)
    with gradebook.quiet():
        converter.start()


def _is_there(layout: Layout, week: Week, student: str, verdict: Verdict, held: Held | None) -> bool:
    """True if this very verdict was recorded, and the gradebook still says so."""
    try:
        same = _mark(layout, week, student).read_text(encoding="utf-8").strip() == _digest(verdict)
    except OSError:
        return False
    if not same or held is None:
        return False
    scores = [(held.auto.get(one.id), one.score) for one in verdict.exercises]
    return all(score is not None and abs(score - expected) <= CLOSE for score, expected in scores)


def _mark(layout: Layout, week: Week, student: str) -> Path:
    return layout.autograded / student / week.id / "verdict.sha256"


def _digest(verdict: Verdict) -> str:
    data = json.loads(verdict.to_json())
    data.pop("timings", None)
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


# -- nbgrader's steps ------------------------------------------------------------------------------------


def _course(step: Any) -> CourseDirectory:
    """The course directory of the converter that runs this step: an exporter's parent, or its parent's."""
    while step is not None:
        found = getattr(step, "coursedir", None)
        if found is not None:
            return found
        step = getattr(step, "parent", None)
    raise CourseBroken("this step belongs to nbgrader's autograde and cannot run outside it.")


def _release_of(step: Any, resources: Any) -> notebooks.Notebook:
    names = resources["nbgrader"]
    directory = _course(step)
    folder = Path(directory.format_path(directory.release_directory, ".", names["assignment"]))
    path = folder / f"{names['notebook']}.ipynb"
    try:
        return _read_release(path, path.stat().st_mtime_ns)
    except OSError:
        raise CourseBroken(f"{names['assignment']} has no release at {path}; run `course release`.") from None


@functools.lru_cache(maxsize=8)
def _read_release(path: Path, stamp: int) -> notebooks.Notebook:
    return notebooks.read(path)


def _submitted_path(step: Any, resources: Any) -> Path:
    names = resources["nbgrader"]
    directory = _course(step)
    folder = directory.format_path(directory.submitted_directory, names["student"], names["assignment"])
    return Path(folder, f"{names['notebook']}.ipynb")


class Reader(NotebookExporter):
    """Reads any file as a submission. One that is no notebook becomes the untouched release, with a note."""

    def from_filename(self, filename: str, resources: Any = None, **kw: Any) -> Any:
        path = Path(filename)
        resources["metadata"] = {"name": path.stem, "path": str(path.parent), "modified_date": ""}
        try:
            found = notebooks.read(path)
            found["metadata"].pop(NOTE, None)  # the note is ours to write, not the learner's
        except SubmissionError as problem:
            release = _release_of(self, resources)
            found = {
                **release,
                "metadata": {
                    **release["metadata"],
                    NOTE: str(problem).replace(str(path), path.name),
                },
            }
        converted = self.from_notebook_node(_node(found), resources=resources, **kw)  # type: ignore[no-untyped-call]
        return converted


class Repair(NbGraderPreprocessor):  # type: ignore[misc]
    """Rebuilds a canonical notebook: the release's cells in the release's order, with the learner's sources
    in them.

    A duplicated, deleted, re-typed or re-tagged cell, a notebook that Colab saved, lost metadata: none of it
    loses a grade. Cells that the learner added follow the cell they were added after. Outputs, widget state,
    attachments and every tag are left behind, and changed prose is made harmless: formgrader shows it in the
    instructor's session.
    """

    def preprocess(self, nb: NotebookNode, resources: Any) -> tuple[NotebookNode, Any]:
        release = _release_of(self, resources)
        raw = {"cells": nb["cells"], "metadata": nb["metadata"], "nbformat": 4, "nbformat_minor": 5}
        aligned = notebooks.align(release, notebooks.read(json.dumps(raw).encode(), cap_mb=1000))
        notes = list(aligned.notes)
        note = nb["metadata"].get(NOTE)
        if isinstance(note, str) and note:
            notes.append(f"{note} What follows is the notebook as it was given out.")
        cells: list[dict[str, Any]] = []
        if notes:
            # A note may quote the file, and a learner may have written all of it: it is text, not markup.
            items = "".join(f"<li>{harmless.quoted(line, 400)}</li>" for line in notes)
            cells.append(
                {
                    "cell_type": "markdown",
                    "id": "put-right",
                    "metadata": {},
                    "source": harmless.block(f"<p><strong>Put right:</strong></p><ul>{items}</ul>"),
                }
            )
        cells += self._added(aligned, -1)
        for index, (cell, source) in enumerate(aligned.cells):
            cells.append(self._filled(cell, source))
            cells += self._added(aligned, index)
        return _node({**release, "cells": notebooks.without_outputs(cells)}), resources

    def _filled(self, cell: notebooks.Cell, source: str | None) -> notebooks.Cell:
        own = cell["source"]
        if source is None or source == own or "check" in cell["metadata"]:
            text = own
        elif cell["cell_type"] == "code":
            text = harmless.text(source)
        else:
            text = harmless.markdown(source)
        metadata = {key: value for key, value in cell["metadata"].items() if key != "tags"}
        return {
            "cell_type": cell["cell_type"],
            "id": cell["id"],
            "metadata": json.loads(json.dumps(metadata)),
            "source": text,
        }

    def _added(self, aligned: notebooks.Aligned, after: int) -> list[notebooks.Cell]:
        found = []
        for number, (place, cell) in enumerate(aligned.extra):
            if place == after:
                code = cell["cell_type"] == "code"
                source = harmless.text(cell["source"]) if code else harmless.markdown(cell["source"])
                kind = "code" if code else "markdown"
                found.append({"cell_type": kind, "id": f"own-{number:04d}", "metadata": {}, "source": source})
        return found


class Judge(NbGraderPreprocessor):  # type: ignore[misc]
    """Writes the verdict's marks into the graded cells, in the one form that nbgrader reads as a number."""

    def verdict_for(self, resources: Any) -> Verdict:
        """The stored verdict of this very submission; evaluated now if there is none."""
        layout = layouts.find(Path(_course(self).root))
        week = find_week(layout, resources["nbgrader"]["assignment"])
        raw = notebooks.load_bytes(_submitted_path(self, resources), cap_mb=1000)
        store = Store(layout.verdicts)
        found = store.get(week.id, hashlib.sha256(raw).hexdigest(), week.suite)
        if found is None:
            found = grading.evaluate(raw, week)
            store.put(found)
        return found

    def preprocess(self, nb: NotebookNode, resources: Any) -> tuple[NotebookNode, Any]:
        reason = ""
        try:
            exercises = {one.id: one for one in self.verdict_for(resources).exercises}
        except SubmissionError as problem:
            # No notebook at all: that is the learner's, and it is scored, with the reason.
            exercises, reason = {}, str(problem)
        expected: dict[str, float] = {}
        for cell in nb["cells"]:
            if not utils.is_grade(cell):
                continue
            grade_id = str(cell["metadata"]["nbgrader"]["grade_id"])
            most = float(cell["metadata"]["nbgrader"]["points"])
            one = exercises.get(grade_id.removeprefix(CHECK_PREFIX))
            if one is None and not reason:
                raise CourseBroken(
                    f"the verdict says nothing about {grade_id}; release and evaluate this week again."
                )
            score = one.score if one is not None else 0.0
            if not (math.isfinite(score) and -CLOSE <= score <= most + CLOSE):
                raise CourseBroken(
                    f"the verdict gives {grade_id} {score} of {most:g} points; evaluate this week again."
                )
            expected[grade_id] = min(max(float(score), 0.0), most)
            text = messages(one) if one is not None else f"0 of {most:g} points: {reason}\n"
            cell["outputs"] = [
                nbformat.v4.new_output("stream", name="stdout", text=harmless.text(text, 20_000)),
                nbformat.v4.new_output(
                    "execute_result", data={"text/plain": repr(expected[grade_id])}, execution_count=1
                ),
            ]
            cell["execution_count"] = 1
        resources["course"] = {"expected": expected}
        return nb, resources


class Verify(NbGraderPreprocessor):  # type: ignore[misc]
    """What nbgrader recorded is what the verdict says, for every graded cell; otherwise nothing is."""

    def preprocess(self, nb: NotebookNode, resources: Any) -> tuple[NotebookNode, Any]:
        names = resources["nbgrader"]
        expected = resources["course"]["expected"]
        with Gradebook(names["db_url"]) as book:
            notebook = book.find_submission_notebook(names["notebook"], names["assignment"], names["student"])
            held = {grade.name: grade.auto_score for grade in notebook.grades}
            wrong = [
                f"{name}: {score} where the verdict says {expected.get(name)}"
                for name, score in held.items()
                if score is None or name not in expected or abs(float(score) - expected[name]) > CLOSE
            ]
            wrong += [f"{name} is not in the gradebook" for name in expected if name not in held]
            if wrong:
                for grade in notebook.grades:
                    grade.auto_score, grade.needs_manual_grade = None, True
                book.db.commit()
        if wrong:
            raise CourseBroken(
                f"the gradebook disagrees with the verdict ({'; '.join(wrong)}); it was marked for review."
            )
        return nb, resources


# CheckCellMetadata runs once, at the end of the second list.
SANITIZE = (Repair, ClearOutput, DeduplicateIds, OverwriteKernelspec, OverwriteCells)
AUTOGRADE = (
    *(Judge, IgnorePattern, ClearMetadataPreprocessor, LimitOutput, SaveAutoGrades, Verify),
    *(AssignLatePenalties, CheckCellMetadata),
)


def messages(exercise: ExerciseRecord) -> str:
    """What a graded cell prints: the mark, and each check that failed in three lines."""
    lines = [f"{exercise.score:g} of {exercise.max:g} points: {exercise.outcome}"]
    if exercise.tell:
        lines += [exercise.tell]
    for check in exercise.checks:
        if not check.passed:
            lines += ["", check.claim, f"  seen: {check.seen}", f"  look: {check.look}"]
    return "\n".join(lines) + "\n"


def _node(notebook: Mapping[str, Any]) -> NotebookNode:
    for number, cell in enumerate(notebook["cells"]):
        cell.setdefault("id", f"cell-{number:04d}")
    node: NotebookNode = nbformat.from_dict({**notebook, "nbformat_minor": 5})
    return node
