"""What every week must be, whichever weeks there are: calibrated, complete, and fair gap by gap."""

import json
import re
import subprocess
import sys
from typing import Any

import pytest

from grading import judge, layout, release
from grading.calibrate import untouched
from grading.weeks import Exercise, Week, all_weeks

COURSE = layout.find()
WEEKS = all_weeks(COURSE)
EXERCISES = [(week, name) for week in WEEKS for name in week.points]
SEED = 20

every_week = pytest.mark.parametrize("week", WEEKS, ids=lambda week: week.id)
every_exercise = pytest.mark.parametrize(
    ("week", "name"), EXERCISES, ids=[f"{week.id}-{name}" for week, name in EXERCISES]
)


def cell_of(week: Week, kind: str, name: str) -> Any:
    (cell,) = [cell for cell in week.cells() if cell["metadata"].get(kind) == name]
    return cell


def solved_by_the_notebook(week: Week, exercise: Exercise) -> Any:
    """What the notebook's own solution defines, in a fresh namespace with the notebook's imports."""
    code = [cell for cell in week.cells() if cell["cell_type"] == "code"]
    setup = next(cell for cell in code if "import torch" in cell.source)
    namespace: dict[str, Any] = {}
    for source in (setup.source, cell_of(week, "exercise", exercise.id).source):
        lines = [line for line in source.splitlines() if "course_lib.checks" not in line]
        exec(compile("\n".join(lines), week.id, "exec"), namespace)
    return namespace[exercise.subject]


@pytest.mark.slow
@pytest.mark.timeout(1500)  # it grows with every week
def test_the_course_is_calibrated() -> None:
    """In a process of its own, as an instructor does it, where no shape is checked at each call."""
    done = subprocess.run(
        [sys.executable, "-m", "grading", "calibrate", "--json"],
        cwd=COURSE.root,
        capture_output=True,
        text=True,
    )
    report = json.loads(done.stdout)
    assert report["problems"] == []
    assert (report["ok"], done.returncode) == (True, 0)
    assert [week["week"] for week in report["weeks"]] == [week.id for week in WEEKS]
    for week in report["weeks"]:
        for one in week["exercises"]:
            assert one["reference_score"] == one["points"]
            assert {right["score"] for right in one["right_variants"]} == {one["points"]}
            assert all(
                wrong["score"] < one["points"] and wrong["caught_by"] for wrong in one["misconceptions"]
            )
            caught = {check for wrong in one["misconceptions"] for check in wrong["caught_by"]}
            assert set(one["hidden_checks"]) <= caught, "a check that no misconception fails proves nothing"


@every_exercise
def test_an_exercise_has_checks_misconceptions_and_right_variants_enough(week: Week, name: str) -> None:
    exercise = week.exercise(name)
    assert len(exercise.hidden_checks) >= 3
    assert any(check.public for check in exercise.checks)
    assert len(exercise.misconceptions) >= 5
    assert len(exercise.right) >= 2
    assert all(one.text and one.tell and one.caught_by for one in exercise.misconceptions)


@every_exercise
def test_the_notebooks_own_solution_gets_full_marks(week: Week, name: str) -> None:
    exercise = week.exercise(name)
    record = judge.judge(exercise, judge.here(solved_by_the_notebook(week, exercise), exercise), SEED)
    assert [check.name for check in record.checks if not check.passed] == []
    assert record.score == record.max


@every_exercise
def test_an_untouched_gap_scores_nothing_and_is_called_not_written(week: Week, name: str) -> None:
    exercise = week.exercise(name)
    record = judge.judge(exercise, judge.here(untouched(week, exercise), exercise), SEED)
    assert (record.score, record.outcome) == (0.0, "not written")


@every_exercise
def test_a_gap_names_its_exercise(week: Week, name: str) -> None:
    released = (COURSE.notebooks / week.id / f"{week.id}.ipynb").read_text(encoding="utf-8")
    assert f"week {week.number}, exercise {name}" in released


@every_exercise
def test_an_exercise_stands_before_its_check_with_hints_between(week: Week, name: str) -> None:
    cells = week.cells()
    place = cells.index(cell_of(week, "exercise", name))
    check = cells.index(cell_of(week, "check", name))
    assert place < check <= place + 2
    statement = cells[place - 1].source
    assert "minutes" in statement
    assert re.search(r"\bpoints?\b", statement)
    assert statement.count("<details>") >= 2, "a hint ladder has rungs"


@every_week
def test_the_released_notebook_gives_nothing_away(week: Week) -> None:
    assert release.leaks(COURSE, week, COURSE.notebooks / week.id) == []


@every_week
def test_the_opening_says_the_points_that_the_checks_give(week: Week) -> None:
    opening = next(cell.source for cell in week.cells() if cell.source.lstrip("# ").startswith("Week"))
    assert f"{sum(week.points.values()):g} points" in opening
