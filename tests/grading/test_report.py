"""The class report counts right."""

import dataclasses
from pathlib import Path

import pytest

from grading import report
from grading.layout import Layout
from grading.records import Verdict
from grading.weeks import Week
from tests.fixtures import course_tree

Class = tuple[Layout, Week, dict[str, Verdict]]


@pytest.fixture
def small_class(tmp_path: Path) -> Class:
    layout, week = course_tree.make(tmp_path / "course")

    def wrong(exercise: str, name: str) -> Verdict:
        text = (week.folder / "misconceptions" / exercise / f"{name}.py").read_text()
        return course_tree.verdict(week, course_tree.as_file(course_tree.submission(week, {exercise: text})))

    full = course_tree.verdict(week, course_tree.as_file(course_tree.submission(week)))
    gate = wrong("blend", "sigmoid_gate")
    nothing = [dataclasses.replace(one, score=0.0, outcome="unreadable", checks=[]) for one in full.exercises]
    unread = dataclasses.replace(full, score=0.0, exercises=nothing)
    verdicts = {"a": full, "b": gate, "c": gate, "d": wrong("masked_mean", "inverted_mask"), "e": unread}
    return layout, week, verdicts


def test_mix_ups_are_counted_by_exercise_most_frequent_first(small_class: Class) -> None:
    _, week, verdicts = small_class
    summary = report.summarise(week, verdicts)
    counted = {
        one.id: [(wrong.name, wrong.count) for wrong in one.misconceptions] for one in summary.exercises
    }
    assert counted == {"blend": [("sigmoid_gate", 2)], "masked_mean": [("inverted_mask", 1)]}
    blend = summary.exercises[0]
    titles = {wrong.name: wrong.text for wrong in week.exercise("blend").misconceptions}
    assert blend.misconceptions[0].title == titles["sigmoid_gate"]


def test_every_submission_is_in_one_bar(small_class: Class) -> None:
    _, week, verdicts = small_class
    summary = report.summarise(week, verdicts)
    assert sum(bar.count for bar in summary.histogram) == len(verdicts) == summary.submissions
    assert summary.histogram[-1].count == sum(verdict.score >= 5.25 for verdict in verdicts.values())
    assert summary.histogram[0].count >= 1
    assert (summary.lowest, summary.highest, summary.unreadable) == (0.0, 6.0, 1)


def test_right_partly_and_nothing_add_up(small_class: Class) -> None:
    _, week, verdicts = small_class
    for one in report.summarise(week, verdicts).exercises:
        scores = [verdict.exercise(one.id).score for verdict in verdicts.values()]
        assert one.right == scores.count(one.max)
        assert one.total - one.right - one.partly == scores.count(0.0)
        assert one.mean == pytest.approx(sum(scores) / len(scores))


def test_the_page_names_no_learner_and_loads_nothing(small_class: Class) -> None:
    layout, week, verdicts = small_class
    named = {f"learner-{name}": verdict for name, verdict in verdicts.items()}
    text = report.write(layout, week, report.summarise(week, named)).read_text()
    assert "learner-" not in text
    assert "<script" not in text
    assert "http:" not in text.replace("http-equiv", "")
    assert week.title in text


def test_what_checks_measured_is_listed_the_highest_first(small_class: Class) -> None:
    layout, week, verdicts = small_class
    for name, share in (("a", "41%"), ("b", "72%")):
        verdict = verdicts[name]
        one = verdict.exercise("masked_mean")
        checks = [dataclasses.replace(one.checks[0], passed=True, seen=f"{share} are right"), *one.checks[1:]]
        others = [other for other in verdict.exercises if other.id != one.id]
        verdicts[name] = dataclasses.replace(
            verdict, exercises=[*others, dataclasses.replace(one, checks=checks)]
        )
    summary = report.summarise(week, verdicts)
    assert [one.measured for one in summary.exercises] == [[], ["72% are right", "41% are right"]]
    assert "72% are right" in report.write(layout, week, summary).read_text(encoding="utf-8")


def test_one_submission_is_a_class_too(small_class: Class) -> None:
    _, week, verdicts = small_class
    summary = report.summarise(week, {"a": verdicts["a"]})
    assert (summary.median, summary.mean) == (6.0, 6.0)
