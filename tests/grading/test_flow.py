"""A class goes through grading: recording keeps pace with judging, and stands in nobody's way."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from grading import evaluation, flow, gradebook, release, workers
from grading.evaluation import Done, Item
from grading.layout import Layout
from grading.sandbox import wait_until
from grading.weeks import Week
from tests.fixtures import course_tree

pytestmark = pytest.mark.slow  # each test makes a gradebook

Course = tuple[Layout, Week]
STUDENTS = ("ann", "ben", "eva")


@pytest.fixture
def course(tmp_path: Any) -> Course:
    layout, week = course_tree.make(tmp_path / "course")
    release.release(layout, week)
    raw = course_tree.as_file(course_tree.submission(week))
    for student in STUDENTS:
        course_tree.hand_in(layout, week, student, raw)
    return layout, week


def judge_at_once(
    monkeypatch: pytest.MonkeyPatch, course: Course, between: Callable[[str], None], lost: str = ""
) -> None:
    """In place of kernels: every submission gets its verdict in turn; `between` is called after each."""
    _, week = course
    verdict = course_tree.verdict(week, course_tree.as_file(course_tree.submission(week)))

    def evaluate_many(items: Sequence[Item], *_: Any, on_done: Callable[[Done], None], **__: Any) -> None:
        for item in items:
            on_done(Done(item, None, "it was lost") if item.name == lost else Done(item, verdict))
            between(item.name)

    monkeypatch.setattr(evaluation, "evaluate_many", evaluate_many)


def test_a_verdict_is_recorded_before_the_next_submission_is_judged(
    course: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a second core is not idle while the first one records a whole class."""
    seen: list[list[str]] = []
    judge_at_once(monkeypatch, course, lambda student: seen.append(sorted(gradebook.held(*course))))
    graded = flow.grade(*course)
    assert seen == [["ann"], ["ann", "ben"], ["ann", "ben", "eva"]]
    assert all(one.recorded and not one.problem for one in graded)


def test_a_gradebook_that_fails_ends_no_judging_and_is_said_at_the_end(
    course: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout, _ = course
    layout.var.mkdir(exist_ok=True)
    layout.gradebook.write_text("this is no gradebook")
    judged: list[str] = []
    judge_at_once(monkeypatch, course, judged.append)
    with pytest.raises(Exception, match=r"gradebook|database|generate"):
        flow.grade(*course)
    assert judged == list(STUDENTS)


def test_a_submission_without_a_verdict_is_not_recorded_and_the_bar_reaches_its_end(
    course: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[tuple[str, int, int]] = []
    judge_at_once(monkeypatch, course, lambda student: None, lost="ben")
    graded = {
        one.student: one
        for one in flow.grade(*course, progress=lambda what, done, of: shown.append((what, done, of)))
    }
    assert (graded["ben"].recorded, graded["ben"].problem) == (False, "it was lost")
    assert graded["ann"].recorded
    assert graded["eva"].recorded
    assert [one for one in shown if one[0] == "recorded"][-1] == ("recorded", 2, 2)


def test_recording_shares_one_engine_and_leaves_nbgraders_own_behind(course: Course) -> None:
    from nbgrader import api

    layout, week = course
    release.register(layout, week)
    make = api.create_engine
    with gradebook.one_engine():
        with gradebook.opened(layout) as first:
            pass
        with gradebook.opened(layout) as second:
            assert second.find_assignment(week.id).name == week.id
        assert first.engine is second.engine
    assert api.create_engine is make
    with gradebook.opened(layout) as other:
        assert other.engine is not first.engine


class Prompt:
    """A worker that answers at once."""

    def ask(self, job: dict[str, Any], patience_s: float) -> dict[str, Any]:
        return {"verdict": job["text"]}

    def stop(self, busy: bool) -> None:
        pass


def test_every_answer_is_kept_while_its_reader_is_busy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A grader that is killed while it records has to find every verdict that was there."""
    monkeypatch.setattr(workers, "_Worker", Prompt)
    kept: dict[str, str] = {}

    def keep(key: str, answer: dict[str, Any]) -> None:
        kept[key] = answer["verdict"]

    jobs = {str(number): {"text": f"verdict {number}"} for number in range(20)}
    with workers.Pool(2, 10.0, keep) as pool:
        answers = pool.run(jobs)
        first, _ = next(answers)
        assert wait_until(lambda: len(kept) == len(jobs), 10)
        assert sorted([first, *(key for key, _ in answers)]) == sorted(jobs)
    assert kept == {key: job["text"] for key, job in jobs.items()}


def test_what_keeping_an_answer_raises_reaches_the_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_Worker", Prompt)

    def keep(key: str, answer: dict[str, Any]) -> None:
        raise OSError(28, "No space left on device")

    with workers.Pool(1, 10.0, keep) as pool, pytest.raises(OSError, match="No space left"):
        list(pool.run({"a": {"text": "verdict"}}))
