"""Reads nbgrader's gradebook, and runs nbgrader without its noise. Writing grades is record's work."""

import contextlib
import functools
import logging
import os
import shutil
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbgrader import api
from nbgrader.api import Gradebook, MissingEntry

from grading.errors import GradingError
from grading.layout import Layout
from grading.trouble import of
from grading.weeks import Week

COURSE_ID = "seeing"
CHECK_PREFIX = "check-"  # a graded cell is called check-EXERCISE; see release


@dataclass(frozen=True)
class Held:
    """What the gradebook holds for one submission.

    Args:
        auto: automatic score by exercise; None where there is none, or one that waits for review.
        total: what counts: manual scores where an instructor gave them, late penalties taken off.
        most: what could be had.
        adjusted: True if an instructor or a late penalty changed the automatic score.
        submitted: when it was taken in, as text, or "".
    """

    student: str
    first_name: str
    last_name: str
    email: str
    auto: dict[str, float | None]
    total: float
    most: float
    adjusted: bool
    submitted: str


def held(layout: Layout, week: Week) -> dict[str, Held]:
    """Every submission of a week in the gradebook, by student. Read through nbgrader's own interface."""
    if not layout.gradebook.is_file():
        return {}
    with opened(layout) as book:
        try:
            assignment = book.find_assignment(week.id)
        except MissingEntry:
            return {}
        return {
            one.student_id: _held(one)
            for one in sorted(assignment.submissions, key=lambda one: one.student_id)
        }


def _held(submission: Any) -> Held:
    grades = [grade for notebook in submission.notebooks for grade in notebook.grades]
    auto = {grade.name.removeprefix(CHECK_PREFIX): _number(grade.auto_score) for grade in grades}
    score = float(submission.score) - float(submission.late_submission_penalty or 0.0)
    student = submission.student
    return Held(
        student=str(submission.student_id),
        first_name=str(student.first_name or ""),
        last_name=str(student.last_name or ""),
        email=str(student.email or ""),
        auto=auto,
        total=max(0.0, score),
        most=float(submission.max_score),
        adjusted=abs(score - sum(one or 0.0 for one in auto.values())) > 1e-6,
        submitted=submission.timestamp.strftime("%Y-%m-%d %H:%M:%S") if submission.timestamp else "",
    )


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


@contextlib.contextmanager
def opened(layout: Layout) -> Iterator[Any]:
    """nbgrader's gradebook of this course.

    Raises:
        MachineTrouble: the disk is full, the file cannot be written to, or another program holds it.
        GradingError: the file is no gradebook.
    """
    programs_on_path()
    with quiet():
        try:
            book = Gradebook(layout.gradebook_url, COURSE_ID)
        except (
            Exception
        ) as problem:  # SQLAlchemy's, alembic's or sqlite's: whatever this file is, it is no gradebook
            trouble = of(problem, layout.gradebook)
            if trouble is not None:
                raise trouble from None
            raise GradingError(
                f"{layout.gradebook} cannot be opened as a gradebook ({type(problem).__name__}); "
                "restore it, or move it away and grade again: every verdict is kept."
            ) from None
        with book:
            yield book


@contextlib.contextmanager
def one_engine() -> Iterator[None]:
    """nbgrader opens its gradebook ten times a submission, each time with an engine of its own.

    SQLAlchemy keeps the statements that it compiled by engine, so each of those ten compiled the same ones
    anew, in about a third of all the time that recording took. In here they share an engine. What nbgrader
    closes is closed all the same: a disposed engine has no connections, and makes new ones when it is asked.
    """
    make = api.create_engine
    made: list[Any] = []

    @functools.cache
    def shared(url: str, **options: Any) -> Any:
        made.append(make(url, **options))
        return made[-1]

    api.create_engine = shared
    try:
        yield
    finally:
        api.create_engine = make
        for engine in made:
            engine.dispose()


def programs_on_path() -> None:
    """Let nbgrader find its helpers (it calls `alembic` by name), however this Python was started."""
    if shutil.which("alembic") is None:
        here = str(Path(sys.executable).parent)
        os.environ["PATH"] = os.pathsep.join([here, os.environ.get("PATH", os.defpath)])


def listener(said: list[str], caught: list[BaseException]) -> logging.Logger:
    """A logger that keeps nbgrader's complaints in `said`, the exceptions it complains about in `caught`, and
    prints none of them.
    """
    log = logging.Logger("course.nbgrader", level=logging.ERROR)

    class Keep(logging.Handler):
        def emit(self, entry: logging.LogRecord) -> None:
            said.append(entry.getMessage())
            # nbgrader logs while it handles: the exception itself, not what a learner's text makes of it.
            problem = sys.exc_info()[1]
            if problem is not None:
                caught.append(problem)

    log.addHandler(Keep())
    return log


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """nbgrader logs through other packages' loggers too (its database's failures with a traceback), and
    warns about how it uses SQLAlchemy: its makers' business. What it raises, who calls it says in a sentence.
    """
    logs = [logging.getLogger(name) for name in ("traitlets", "tornado.application")]
    before = [log.level for log in logs]
    for log in logs:
        log.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for log, level in zip(logs, before, strict=True):
            log.setLevel(level)
