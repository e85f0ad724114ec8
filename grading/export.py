"""Gradebook -> files for other programs.

What is exported is what the gradebook holds: manual scores and late penalties count. A name that a
spreadsheet would take for a formula is written as text; commas and quotes are the csv module's business.

`nbgrader export --exporter grading.export.SafeCsv` writes the general form for every week.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from nbgrader.api import MissingEntry
from nbgrader.plugins import ExportPlugin

from grading import gradebook, pages
from grading.errors import UsageError
from grading.gradebook import Held
from grading.layout import Layout
from grading.store import write_whole
from grading.trouble import of
from grading.weeks import Week, did_you_mean

FORMATS = ("csv", "moodle")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def export(layout: Layout, week: Week, form: str = "csv", to: Path | None = None) -> tuple[Path, int]:
    """Write a week's marks; return where they are and how many.

    Args:
        form: "csv" (everything, a column an exercise) or "moodle" (for Moodle's grade import).
        to: a file; build/reports/ unless told otherwise.

    Raises:
        UsageError: the form does not exist, or there are no grades yet.
    """
    if form not in FORMATS:
        raise UsageError(did_you_mean("format", form, list(FORMATS)))
    held = gradebook.held(layout, week)
    if not held:
        raise UsageError(
            f"the gradebook holds no submission for {week.id}; "
            f"run `course grade --week {week.number:02d}` first."
        )
    rows = list(_general(week, held.values()) if form == "csv" else _moodle(week, held.values()))
    place = to or layout.reports / (f"{week.id}.csv" if form == "csv" else f"{week.id}_{form}.csv")
    return _write(place, text(rows)), len(held)


def text(rows: Iterable[Sequence[Any]]) -> str:
    """Rows as CSV, with nothing in them that a spreadsheet would run."""
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\r\n")
    for row in rows:
        writer.writerow([_cell(value) for value in row])
    return written.getvalue()


def _cell(value: Any) -> str:
    if isinstance(value, (int, float)):
        return pages.points(value)
    plain = str(value).replace("\x00", "")
    # An apostrophe in front is how spreadsheets themselves mark "this is text".
    return "'" + plain if plain.lstrip(" ").startswith(_FORMULA) else plain


def _general(week: Week, held: Iterable[Held]) -> Iterable[Sequence[Any]]:
    names = list(week.points)
    yield ["student_id", "last_name", "first_name", "email", "week", "score", "max", "submitted", *names]
    for one in held:
        marks = ["" if one.auto.get(name) is None else one.auto[name] for name in names]
        person = [one.student, one.last_name, one.first_name, one.email]
        yield [*person, week.id, one.total, one.most, one.submitted, *marks]


def _moodle(week: Week, held: Iterable[Held]) -> Iterable[Sequence[Any]]:
    yield ["ID number", "Email address", f"Week {week.number}: {week.title}"]
    for one in held:
        yield [one.student, one.email, one.total]


def _write(place: Path, content: str) -> Path:
    try:
        write_whole(place, content.encode(), mode=0o600)
    except OSError as problem:
        trouble = of(problem, place)
        if trouble is not None:
            raise trouble from None
        raise UsageError(f"{place} cannot be written ({problem.strerror}); name another file.") from None
    return place


class SafeCsv(ExportPlugin):  # type: ignore[misc]
    """nbgrader's CSV export with quoting, and with names that stay names."""

    def export(self, gradebook: Any) -> None:
        rows: list[Sequence[Any]] = [
            [
                *("assignment", "duedate", "timestamp", "student_id", "last_name", "first_name", "email"),
                *("raw_score", "late_submission_penalty", "score", "max_score"),
            ]
        ]
        for assignment in gradebook.assignments:
            if self.assignment and assignment.name not in self.assignment:
                continue
            for student in gradebook.students:
                if self.student and student.id not in [str(one) for one in self.student]:
                    continue
                person = [student.id, student.last_name or "", student.first_name or "", student.email or ""]
                try:
                    submission = gradebook.find_submission(assignment.name, student.id)
                except MissingEntry:
                    when, raw, late = "", 0.0, 0.0
                else:
                    when, raw = submission.timestamp or "", float(submission.score)
                    late = float(submission.late_submission_penalty or 0.0)
                score = [raw, late, max(0.0, raw - late), float(assignment.max_score)]
                rows.append([assignment.name, assignment.duedate or "", when, *person, *score])
        _write(Path(self.to or "grades.csv"), text(rows))
