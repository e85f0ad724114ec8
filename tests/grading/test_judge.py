"""Judging over subjects of this process: scores, outcomes, diagnosis, and whose fault it is."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from course_lib import checking, driver
from course_lib.checking import Check
from grading import judge
from grading.ask import NoAnswer
from grading.errors import CourseBroken
from grading.records import ExerciseRecord
from grading.weeks import Exercise
from tests.fixtures import blending

SEED = 3


@pytest.fixture(scope="module")
def blend() -> Exercise:
    return blending.week().exercise("blend")


@pytest.fixture(scope="module")
def mean() -> Exercise:
    return blending.week().exercise("masked_mean")


def judged(exercise: Exercise, found: Any, seed: int = SEED) -> ExerciseRecord:
    return judge.judge(exercise, judge.here(found, exercise), seed)


def test_the_reference_and_a_differently_written_answer_get_full_marks(
    blend: Exercise, mean: Exercise
) -> None:
    for exercise in (blend, mean):
        for answer in (exercise.reference, *(one.found for one in exercise.right)):
            record = judged(exercise, answer)
            assert (record.score, record.outcome, record.misconception) == (exercise.points, "right", None)


def test_points_are_the_share_of_the_weights(blend: Exercise) -> None:
    record = judged(blend, next(one.found for one in blend.misconceptions if one.name == "starts_open"))
    assert [check.weight for check in record.checks if not check.passed] == [1.0]
    assert record.score == round(4 * 4 / 5, 2)
    assert record.outcome == "partly right"


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_misconception_is_named_with_its_tell(blend: Exercise, mean: Exercise, seed: int) -> None:
    for exercise in (blend, mean):
        for one in exercise.misconceptions:
            record = judged(exercise, one.found, seed)
            assert (record.misconception, record.tell) == (one.name, one.tell)


def test_a_misconception_is_known_by_its_behaviour_not_by_its_code(blend: Exercise) -> None:
    class Other(nn.Module):
        def __init__(self, d: int) -> None:
            super().__init__()
            self.gate = nn.Parameter(torch.zeros(1))
            self.linear = nn.Linear(d, d)

        def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
            return left + self.linear(right) / (1 + torch.exp(-self.gate))

    assert judged(blend, Other).misconception == "sigmoid_gate"


def test_another_mistake_gets_no_name(mean: Exercise) -> None:
    record = judged(mean, lambda values, keep: values.sum(dim=1))
    assert record.outcome == "not right"
    assert (record.misconception, record.tell) == (None, None)


def test_errors_of_the_same_kind_are_not_the_same_mistake(mean: Exercise) -> None:
    """Most mistakes end in a RuntimeError; only an error the reference raises too is compared by kind."""

    def wrong_shape(values: Any, keep: Any) -> Any:
        return values @ values

    def other_shape(values: Any, keep: Any) -> Any:
        return values + torch.zeros(17, 3)

    candidate = dataclasses.replace(mean.misconceptions[0], name="other", found=other_shape)
    exercise = dataclasses.replace(mean, misconceptions=(candidate,))
    assert judged(exercise, wrong_shape).misconception is None
    assert judged(exercise, other_shape).misconception == "other"


def test_an_unwritten_gap_scores_nothing_and_says_so(mean: Exercise) -> None:
    def gap(values: Any, keep: Any) -> Any:
        raise NotImplementedError("week 90, exercise masked_mean")

    record = judged(mean, gap)
    assert (record.score, record.outcome, record.misconception) == (0.0, "not written", None)
    assert all("exercise masked_mean" in check.seen for check in record.checks)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (3, "an object of type int, where a class"),
        (None, "an object of type NoneType, where a class"),
        ("Blend", "an object of type str"),
        (nn.Linear(2, 2), "an object of type Linear, where a class"),
    ],
)
def test_a_name_that_is_no_class_is_told_kindly(blend: Exercise, found: Any, words: str) -> None:
    record = judged(blend, found)
    assert (record.score, record.outcome) == (0.0, "missing")
    assert all(words in check.seen for check in record.checks)


def test_a_class_where_a_function_is_asked_and_a_name_that_is_missing(
    blend: Exercise, mean: Exercise
) -> None:
    assert "is a class, where a function is asked for" in judged(mean, nn.Linear).checks[0].seen
    record = judge.judge(blend, lambda: driver.in_process("blend", nn.Linear), SEED)
    assert record.outcome == "missing"
    assert record.checks[0].seen == "the notebook defines no Blend"


def test_a_function_that_makes_the_module_will_do_for_a_class(blend: Exercise) -> None:
    assert judged(blend, lambda d: blend.reference(d)).score == blend.points


def test_a_constructor_with_other_arguments_is_told_what_it_raised(blend: Exercise) -> None:
    class Blend(nn.Module):
        def __init__(self, d: int, depth: int, heads: int) -> None:
            super().__init__()

    record = judged(blend, Blend)
    assert record.outcome == "not right"
    assert "missing 2 required positional arguments" in record.checks[0].seen


@pytest.mark.parametrize(
    "answer",
    [
        None,
        3.5,
        "text",
        torch.full((3, 4), float("nan")),
        torch.full((3, 4), float("inf")),
        torch.zeros(3, 4, dtype=torch.int64),
        torch.zeros(3, 4, dtype=torch.complex64),
        torch.zeros(1, 1, 1, 1, 1, 1),
        torch.zeros(0),
        {"value": torch.zeros(3, 4)},
        [torch.zeros(4)] * 3,
        object(),
        10**6000,
    ],
    ids=lambda answer: repr(answer)[:20] if not isinstance(answer, int) else "a huge number",
)
def test_no_answer_raises_out_of_the_judge(mean: Exercise, answer: Any) -> None:
    record = judged(mean, lambda values, keep: answer)
    assert record.outcome in ("not right", "partly right")
    assert record.score < mean.points
    assert all(check.seen for check in record.checks if not check.passed)


def test_a_reply_of_any_form_is_a_wrong_answer_not_an_error(mean: Exercise) -> None:
    """The kernel is a stranger's: its replies may have any fields of any type."""
    honest = driver.in_process("masked_mean", mean.reference)
    for wrong in (torch.zeros(3), torch.ones(2, 2, dtype=torch.bool), {"a": []}, [[]], "x", 7, True, None):

        def ask(request: Any, wrong: Any = wrong) -> dict[str, Any]:
            if request["op"] == "describe":
                return honest(request)
            return {"ok": True, "value": wrong, "changed_inputs": wrong, "kind": wrong, "message": wrong}

        assert judge.judge(mean, lambda ask=ask: ask, SEED).score < mean.points
        for field in ("ok", "kind", "message"):
            record = judge.judge(mean, lambda f=field, w=wrong: lambda request: {"ok": False, f: w}, SEED)
            assert record.score == 0.0


def test_a_check_that_its_own_reference_fails_is_the_courses_fault(mean: Exercise) -> None:
    def impossible(subject: Any, reference: Any, draw: Any) -> None:
        checking.expect(False, seen="nothing is good enough", look="Nowhere.")

    def tripping(subject: Any, reference: Any, draw: Any) -> None:
        raise TypeError("the check itself is wrong")

    for function in (impossible, tripping):
        check = Check("bad", "masked_mean", "It cannot hold.", 1.0, False, function)
        exercise = dataclasses.replace(mean, checks=(*mean.checks, check))
        with pytest.raises(CourseBroken, match="fails its own check bad with seed 3"):
            judged(exercise, mean.reference)


@pytest.mark.parametrize(("slow", "outcome"), [(True, "too slow"), (False, "crashed")])
def test_a_kernel_that_breaks_off_costs_the_remaining_checks_only(
    mean: Exercise, slow: bool, outcome: str
) -> None:
    honest = driver.in_process("masked_mean", mean.reference)
    asked = 0

    def ask(request: Any) -> dict[str, Any]:
        nonlocal asked
        asked += request["op"] == "call"
        if asked > 2:
            raise NoAnswer(slow, "the kernel went away")
        return honest(request)

    record = judge.judge(mean, lambda: ask, SEED)
    assert record.outcome == outcome
    assert [check.passed for check in record.checks] == [True, True, False, False]
    assert [check.seen for check in record.checks] == ["", "", "the kernel went away", "not asked any more"]
    assert record.score == round(2 * 3 / 5, 2)


def test_a_kernel_that_cannot_be_reached_scores_nothing(mean: Exercise) -> None:
    def connect() -> Callable[..., Any]:
        raise NoAnswer(True, "no time was left for the submission")

    record = judge.judge(mean, connect, SEED)
    assert (record.score, record.outcome, len(record.checks)) == (0.0, "too slow", len(mean.checks))


def test_inputs_are_fresh_for_every_check_exercise_and_submission() -> None:
    seeds = {judge.check_seed(s, e, c) for s in (1, 2) for e in ("one", "two") for c in ("a", "b")}
    assert len(seeds) == 8
    assert judge.check_seed(1, "one", "a") == judge.check_seed(1, "one", "a")


def test_a_strangers_text_is_tidied() -> None:
    text = judge.tidy("\x1b[31mred\x1b[0m <object at 0x7f12ab34cd56>\n\u202enext\x00", 200)
    assert text == "red <object at 0x…> next"


def test_of_a_long_conversation_only_the_beginning_is_compared(mean: Exercise) -> None:
    """A misconception is recognised as without that, and the others are dropped at the first difference."""
    asked = []

    def long(subject: checking.Subject, reference: checking.Subject, draw: checking.Draw) -> None:
        for _ in range(judge.LONG + 1):
            asked.append(subject.name)
            checking.expect_tensor(subject(draw.normal(2, 5, 3), draw.keep_mask(2, 5)), look="?")
        checking.expect(subject is reference, seen="the end", look="?")

    check = Check("long", mean.id, "a long one", 1.0, public=False, function=long)
    exercise = dataclasses.replace(mean, checks=(check,))
    known = judge.Known(exercise, SEED)
    silent = mean.misconceptions[-1]
    wrong = dataclasses.replace(silent, caught_by=("long",))
    run = judge._run(exercise, check, judge.here(wrong.found, exercise)(), SEED)
    right = judge._run(exercise, check, judge.here(mean.reference, exercise)(), SEED)
    asked.clear()
    assert known.answers_as(run, wrong, right.transcript)
    assert len(asked) == judge.BEGINNING
    assert not known.answers_as(run, silent, right.transcript), "its file does not say that it fails this"
    for other in mean.misconceptions[:-1]:
        asked.clear()
        found = dataclasses.replace(other, caught_by=("long",))
        assert not known.answers_as(run, found, right.transcript)
        assert len(asked) <= 2
