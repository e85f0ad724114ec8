"""Calibration of the tests' own week, and of weeks that are wrong on purpose."""

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pytest

from course_lib.checking import Check
from grading import calibrate
from grading.weeks import Week, load_week
from tests.fixtures import blending


def changed(exercise_id: str, **changes: Any) -> Week:
    """The week with one exercise changed."""
    week = blending.week()
    exercises = tuple(
        dataclasses.replace(one, **changes) if one.id == exercise_id else one for one in week.exercises
    )
    week.__dict__["exercises"] = exercises
    return week


def test_the_week_is_calibrated_and_the_report_has_the_promised_form() -> None:
    report = calibrate.calibrate([blending.week()])
    assert report["problems"] == []
    assert report["ok"] is True
    (week,) = report["weeks"]
    assert week["week"] == "week90_blending"
    blend = week["exercises"][0]
    assert set(blend) == {
        "id",
        "points",
        "hidden_checks",
        "misconceptions",
        "right_variants",
        "reference_score",
    }
    assert blend["hidden_checks"] == [
        "an_open_gate_blends",
        "a_closed_gate_changes_nothing",
        "a_new_block_starts_closed",
    ]
    assert blend["reference_score"] == blend["points"] == 4.0
    assert blend["right_variants"] == [{"name": "expanded", "score": 4.0}]
    assert [one["name"] for one in blend["misconceptions"]] == ["gate_on_both", "sigmoid_gate", "starts_open"]
    assert blend["misconceptions"][2] == {
        "name": "starts_open",
        "caught_by": ["a_new_block_starts_closed"],
        "score": 3.2,
    }


def test_a_misconception_that_slips_through_is_reported() -> None:
    week = blending.week()
    one = week.exercise("blend").misconceptions[0]
    slips = dataclasses.replace(one, name="slips", found=week.exercise("blend").reference)
    report = calibrate.calibrate([changed("blend", misconceptions=(slips,))])
    assert not report["ok"]
    text = " ".join(report["problems"])
    assert "slips loses no marks" in text
    assert (
        "slips passes a_closed_gate_changes_nothing, a_new_block_starts_closed, an_open_gate_blends" in text
    )
    assert "slips is taken for None" in text


def test_two_misconceptions_that_cannot_be_told_apart_are_reported() -> None:
    week = blending.week()
    one = week.exercise("blend").misconceptions[0]
    twin = dataclasses.replace(one, name="twin")
    problems = calibrate.calibrate([changed("blend", misconceptions=(one, twin))])["problems"]
    assert problems == [
        f"week90_blending, blend: twin is taken for gate_on_both with seed {n}." for n in (1, 2)
    ]


def test_a_right_answer_that_loses_marks_is_reported() -> None:
    week = blending.week()
    wrong = dataclasses.replace(
        week.exercise("blend").right[0], found=week.exercise("blend").misconceptions[0].found
    )
    report = calibrate.calibrate([changed("blend", right=(wrong,))])
    assert any("the right answer expanded fails an_open_gate_blends" in one for one in report["problems"])
    assert report["weeks"][0]["exercises"][0]["right_variants"][0]["score"] < 4.0


def test_a_reference_that_fails_is_reported_and_not_scored() -> None:
    week = blending.week()

    def impossible(subject: Any, reference: Any, draw: Any) -> None:
        raise TypeError("the check is wrong")

    check = Check("bad", "blend", "It cannot hold.", 1.0, False, impossible)
    report = calibrate.calibrate([changed("blend", checks=(*week.exercise("blend").checks, check))])
    assert not report["ok"]
    assert any("fails its own check bad" in one for one in report["problems"])
    assert report["weeks"][0]["exercises"][0]["reference_score"] == 0.0


def test_a_check_that_an_untouched_gap_passes_is_reported() -> None:
    week = blending.week()

    def generous(subject: Any, draw: Any) -> None:
        return None

    check = Check("generous", "blend", "It always holds.", 5.0, True, generous)
    problems = calibrate.calibrate([changed("blend", checks=(*week.exercise("blend").checks, check))])[
        "problems"
    ]
    assert any("the untouched gap gets 2" in one and "generous" in one for one in problems)


def test_a_misconception_that_names_a_check_that_does_not_exist_is_reported(tmp_path: Path) -> None:
    folder = tmp_path / "week90_blending"
    shutil.copytree(blending.FOLDER, folder, ignore=shutil.ignore_patterns("__pycache__"))
    path = folder / "misconceptions" / "masked_mean" / "zero_by_zero.py"
    path.write_text(path.read_text().replace("Caught by: ", "Caught by: no_such_check, "))
    problems = calibrate.calibrate([load_week(folder)])["problems"]
    assert problems == [
        "week90_blending, masked_mean: zero_by_zero names checks that do not exist: no_such_check."
    ]


def test_the_untouched_cell_is_the_notebooks_own() -> None:
    week = blending.week()
    gap = calibrate.untouched(week, week.exercise("masked_mean"))
    with pytest.raises(NotImplementedError, match="week 90, exercise masked_mean"):
        gap(1, 2)
