"""Exported marks are the gradebook's, and a name in them stays a name."""

import csv
import io
import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

from grading import export, gradebook, release
from grading.errors import UsageError
from grading.layout import Layout
from grading.weeks import Week
from tests.fixtures import course_tree

pytestmark = pytest.mark.slow  # each test makes a gradebook

Course = tuple[Layout, Week]
NAMES = {
    "ann": ("Lee, Ann", '=HYPERLINK("http://evil","x")', "ann@example.org"),
    "ben": ('O"Brien', "+1+1", "-2"),
    "eva": ("\tTab", "@SUM(A1)", " =cmd"),
}


@pytest.fixture
def course(tmp_path: Path) -> Course:
    layout, week = course_tree.make(tmp_path / "course")
    release.release(layout, week)
    release.register(layout, week)
    with gradebook.opened(layout) as book:
        for number, (student, (last, first, email)) in enumerate(NAMES.items()):
            book.add_student(student, last_name=last, first_name=first, email=email)
            book.add_submission(week.id, student, timestamp=datetime(2026, 1, 30, 15))
            book.find_grade("check-blend", week.id, week.id, student).auto_score = 1.5 + number
            book.find_grade("check-masked_mean", week.id, week.id, student).auto_score = 2.0
        book.find_grade("check-blend", week.id, week.id, "eva").manual_score = 0.25
        book.db.commit()
    return layout, week


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"), newline="")))


def test_the_general_form_has_everything_in_its_column(course: Course) -> None:
    layout, week = course
    path, count = export.export(layout, week)
    found = {row["student_id"]: row for row in rows(path)}
    assert (count, sorted(found)) == (3, ["ann", "ben", "eva"])
    assert [found[name]["score"] for name in sorted(found)] == ["3.5", "4.5", "2.25"], "a manual score counts"
    assert found["ann"]["last_name"] == "Lee, Ann"
    assert found["ben"]["last_name"] == 'O"Brien'
    assert (found["eva"]["blend"], found["eva"]["masked_mean"], found["eva"]["max"]) == ("3.5", "2", "6")
    assert found["ann"]["submitted"] == "2026-01-30 15:00:00"


@pytest.mark.parametrize("form", export.FORMATS)
def test_no_cell_is_a_formula(course: Course, form: str) -> None:
    path, _ = export.export(*course, form)
    for row in csv.reader(io.StringIO(path.read_text(encoding="utf-8"), newline="")):
        for cell in row:
            assert not cell.lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r")), cell


@pytest.mark.parametrize("danger", ["=1", "+1", "-1", "@a", "\t=1", "\r=1", "  =1"])
def test_the_guard_changes_text_and_no_number(danger: str) -> None:
    (row,) = csv.reader(io.StringIO(export.text([[danger, -1.5, 2, "plain"]]), newline=""))
    assert row[0] == "'" + danger
    assert row[1:] == ["-1.5", "2", "plain"]


def test_moodles_form_has_what_moodle_reads(course: Course) -> None:
    path, _ = export.export(*course, "moodle")
    first, *_ = rows(path)
    assert first == {"ID number": "ann", "Email address": "ann@example.org", "Week 90: Blending": "3.5"}


def test_marks_are_for_the_owners_eyes(course: Course) -> None:
    path, _ = export.export(*course)
    assert path.stat().st_mode & 0o077 == 0


def test_wrong_forms_and_empty_weeks_are_said(course: Course, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Did you mean moodle"):
        export.export(*course, "modle")
    empty, week = course_tree.make(tmp_path / "empty")
    with pytest.raises(UsageError, match="course grade --week 90"):
        export.export(empty, week)
    with pytest.raises(UsageError, match="cannot be written"):
        export.export(*course, to=tmp_path)


@pytest.mark.slow
def test_nbgrader_exports_through_it(course: Course, tmp_path: Path) -> None:
    layout, _ = course
    (layout.root / "nbgrader_config.py").write_bytes((course_tree.ROOT / "nbgrader_config.py").read_bytes())
    target = tmp_path / "out.csv"
    command = [
        sys.executable,
        "-m",
        "nbgrader",
        "export",
        "--exporter",
        "grading.export.SafeCsv",
        "--to",
        str(target),
    ]
    done = subprocess.run(command, cwd=layout.root, capture_output=True, text=True, env={**os.environ})
    assert done.returncode == 0, done.stderr
    found = {row["student_id"]: row for row in rows(target)}
    assert found["ann"]["last_name"] == "Lee, Ann"
    assert found["ann"]["first_name"].startswith("'=")
    assert (found["eva"]["score"], found["eva"]["max_score"]) == ("2.25", "6")
