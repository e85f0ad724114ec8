"""Checks can fail, say why in three lines, and are not fooled by what comes back."""

import linecache
import math
import pickle
import random
import subprocess
import sys
import textwrap
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from course_lib import driver, wire
from course_lib.checking import (
    Check,
    Draw,
    Subject,
    build_pair,
    checks_in,
    claim,
    door,
    expect,
    expect_different,
    expect_equal,
    expect_finite,
    expect_keys,
    expect_raises,
    expect_same,
    expect_tensor,
    largest_difference,
    load_or_fail,
    run_check,
    same_behaviour,
    stand_in,
)
from course_lib.errors import CheckFailure, CourseError, SubjectError

LOOK = "Where?"
NAN, INF = math.nan, math.inf


def fails(call: Callable[[], Any]) -> str:
    """The `seen` line of the failure that `call` raises."""
    with pytest.raises(CheckFailure) as caught:
        call()
    assert caught.value.look == LOOK
    return caught.value.seen


# -- expectations --------------------------------------------------------------------------------------------


def test_expect_same_takes_what_is_within_its_tolerance_and_nothing_else() -> None:
    expected = torch.tensor([1.0, 2.0])
    expect_same(expected + 1e-6, expected, look=LOOK)
    expect_same(expected.double(), expected, look=LOOK)
    assert "largest difference 0.1" in fails(lambda: expect_same(expected + 0.1, expected, look=LOOK))


@pytest.mark.parametrize("bad", [NAN, INF, -INF])
def test_expect_same_does_not_take_a_number_that_is_none(bad: float) -> None:
    fails(lambda: expect_same(torch.tensor([1.0, bad]), torch.tensor([1.0, 2.0]), look=LOOK))
    fails(lambda: expect_same(torch.tensor([bad, bad]), torch.tensor([bad, 2.0]), look=LOOK))


def test_expect_same_measures_large_numbers_by_their_size() -> None:
    expected = torch.tensor([1e4, 1.0])
    expect_same(expected + 0.05, expected, look=LOOK)
    fails(lambda: expect_same(expected + 0.5, expected, look=LOOK))


def test_expect_same_with_tolerance_zero_means_every_bit() -> None:
    expected = torch.tensor([1.0])
    expect_same(expected.clone(), expected, look=LOOK, tolerance=0.0)
    fails(
        lambda: expect_same(torch.nextafter(expected, torch.tensor(2.0)), expected, look=LOOK, tolerance=0.0)
    )


@pytest.mark.parametrize(
    "seen", [torch.ones(1), torch.ones(1, 2), torch.ones(2, 1), torch.tensor(1.0), torch.ones(3)]
)
def test_expect_same_never_broadcasts(seen: Tensor) -> None:
    assert "shape" in fails(lambda: expect_same(seen, torch.ones(2), look=LOOK))


def test_expect_same_wants_whole_numbers_exactly_and_as_whole_numbers() -> None:
    expected = torch.tensor([1, 2, 3])
    expect_same(expected.int(), expected, look=LOOK)
    assert "1 of 3 entries" in fails(lambda: expect_same(torch.tensor([1, 2, 4]), expected, look=LOOK))
    assert "float32" in fails(lambda: expect_same(expected.float(), expected, look=LOOK))
    expect_same(torch.tensor([True, False]), torch.tensor([True, False]), look=LOOK)
    fails(lambda: expect_same(torch.tensor([True, True]), torch.tensor([True, False]), look=LOOK))


@pytest.mark.parametrize("seen", [None, 3.0, [1.0, 2.0], "x", wire.Other("Module")], ids=str)
def test_what_is_no_tensor_is_named(seen: Any) -> None:
    assert "instead of a tensor" in fails(lambda: expect_same(seen, torch.ones(2), look=LOOK))
    assert "instead of a tensor" in fails(lambda: expect_tensor(seen, look=LOOK))


def test_empty_tensors_are_the_same_if_their_shapes_are() -> None:
    expect_same(torch.zeros(0, 3), torch.zeros(0, 3), look=LOOK)
    fails(lambda: expect_same(torch.zeros(0), torch.zeros(0, 3), look=LOOK))


def test_expect_different_wants_a_difference_that_can_be_seen() -> None:
    base = torch.zeros(3)
    expect_different(base + 0.1, base, look=LOOK)
    fails(lambda: expect_different(base + 1e-6, base, look=LOOK))
    fails(lambda: expect_different(torch.ones(4), base, look=LOOK))


def test_expect_finite_counts_what_is_not() -> None:
    expect_finite(torch.tensor([1, 2]), look=LOOK)
    assert "2 of 3" in fails(lambda: expect_finite(torch.tensor([1.0, NAN, INF]), look=LOOK))


@pytest.mark.parametrize(("seen", "expected"), [(True, 1), (1, True), (1.0, 1), ("1", 1), (None, 0), (2, 1)])
def test_expect_equal_tells_kinds_apart(seen: Any, expected: Any) -> None:
    assert str(seen) in fails(lambda: expect_equal(seen, expected, look=LOOK))
    expect_equal(expected, expected, look=LOOK)


def test_expect_keys_names_what_is_lacking() -> None:
    assert expect_keys({"a": 1, "b": 2}, ["a"], look=LOOK) == {"a": 1, "b": 2}
    assert "without b" in fails(lambda: expect_keys({"a": 1}, ["a", "b"], look=LOOK))
    assert "instead of a dict" in fails(lambda: expect_keys([], ["a"], look=LOOK))


def test_expect_says_what_was_seen() -> None:
    expect(True, seen="x", look=LOOK)
    assert fails(lambda: expect(False, seen="3 cats", look=LOOK)) == "3 cats"


class Picky(ValueError):
    pass


def raising(problem: Exception | None) -> Subject:
    def found() -> None:
        if problem is not None:
            raise problem

    return Subject.here("found", found)


def test_expect_raises_takes_the_kind_or_one_under_it_with_its_numbers() -> None:
    for problem in (ValueError("7 and 9"), Picky("9, 7")):
        expect_raises(lambda p=problem: raising(p)(), "ValueError", mentions=[7, 9], look=LOOK)  # type: ignore[misc]


@pytest.mark.parametrize(
    ("problem", "says"),
    [(None, "no error at all"), (KeyError("7, 9"), "KeyError"), (ValueError("7"), "does not name 9")],
)
def test_expect_raises_says_what_came_instead(problem: Exception | None, says: str) -> None:
    assert says in fails(lambda: expect_raises(raising(problem), "ValueError", mentions=[7, 9], look=LOOK))


def test_a_gap_that_is_not_written_does_not_count_as_the_error_asked_for() -> None:
    with pytest.raises(SubjectError, match="NotImplementedError"):
        expect_raises(raising(NotImplementedError("week 2")), "RuntimeError", look=LOOK)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.floats(width=32), min_size=1, max_size=5),
    st.lists(st.floats(width=32), min_size=1, max_size=5),
)
def test_the_largest_difference_is_never_nan(left: list[float], right: list[float]) -> None:
    n = min(len(left), len(right))
    gap = largest_difference(torch.tensor(left[:n]), torch.tensor(right[:n]))
    assert gap >= 0.0
    if not all(map(math.isfinite, left[:n] + right[:n])):
        assert gap == INF


# -- drawing -------------------------------------------------------------------------------------------------


def test_the_same_seed_draws_the_same_and_another_one_does_not() -> None:
    one, same, other = Draw(5), Draw(5), Draw(6)
    first = one.normal(4)
    assert torch.equal(first, same.normal(4))
    assert not torch.equal(first, other.normal(4))
    assert not torch.equal(first, one.normal(4))


def test_drawing_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    draw = Draw(3)
    draw.normal(2), draw.uniform(0.0, 1.0, 2), draw.integer(0, 9), draw.permutation(4), draw.keep_mask(2, 3)
    assert torch.equal(before, torch.get_rng_state())


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**70), st.integers(1, 5), st.integers(2, 6))
def test_a_mask_keeps_something_in_every_row_and_hides_something(seed: int, b: int, v: int) -> None:
    mask = Draw(seed).keep_mask(b, v)
    assert mask.dtype is torch.bool
    assert bool(mask.any(dim=1).all())
    assert not bool(mask.all())


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**64), st.integers(2, 8))
def test_a_permutation_moves_something(seed: int, n: int) -> None:
    order = Draw(seed).permutation(n)
    assert sorted(order.tolist()) == list(range(n))
    assert order.tolist() != list(range(n))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**64), st.integers(-5, 5), st.integers(1, 9))
def test_a_drawn_number_lies_in_its_range(seed: int, low: int, width: int) -> None:
    draw = Draw(seed)
    assert low <= draw.integer(low, low + width) < low + width
    numbers = draw.uniform(float(low), float(low + width), 20)
    assert bool(((numbers >= low) & (numbers <= low + width)).all())


# -- a pair with the same weights ----------------------------------------------------------------------------


class Affine(nn.Module):
    def __init__(self, width: int, bias: bool = True) -> None:
        super().__init__()
        self.linear = nn.Linear(width, width, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.linear(x)
        return out


class Renamed(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.layer = nn.Linear(width, width)


class Narrow(Affine):
    def __init__(self, width: int) -> None:
        super().__init__(width - 1)


def here(kind: Any) -> Subject:
    return Subject.here("Affine", kind)


def test_a_pair_has_the_same_fresh_weights_and_fixed_ones() -> None:
    fixed = {"linear.bias": torch.tensor([1.0, 2.0, 3.0])}
    ours, theirs = build_pair(here(Affine), here(Affine), Draw(0), 3, fixed=fixed)
    assert torch.equal(ours(torch.zeros(1, 3)), fixed["linear.bias"][None])
    x = torch.randn(2, 3)
    assert torch.equal(ours(x), theirs(x))
    again, _ = build_pair(here(Affine), here(Affine), Draw(1), 3, fixed=fixed)
    assert not torch.equal(ours(x), again(x))
    assert not any(ours.report()["training"].values())


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        (Renamed, "no parameter is called linear.bias, linear.weight; parameters nobody asked for: layer."),
        (Narrow, "size mismatch for linear.weight"),
        (lambda width: Affine(width, bias=False), "no parameter is called linear.bias"),
    ],
)
def test_a_module_that_does_not_take_the_weights_is_told_its_own_names(kind: Any, says: str) -> None:
    with pytest.raises(CheckFailure) as caught:
        build_pair(here(kind), here(Affine), Draw(0), 3)
    assert says in caught.value.seen
    assert "\n" not in caught.value.seen


def test_a_module_with_a_parameter_too_many_is_told_so() -> None:
    with pytest.raises(CheckFailure, match=r"nobody asked for: linear\.bias"):
        load_or_fail(here(Affine).build(2), {"linear.weight": torch.zeros(2, 2)})


# -- running -------------------------------------------------------------------------------------------------


@claim("affine", "It is affine.", weight=2)
def it_is_affine(subject: Any, reference: Any, draw: Any) -> None:
    ours, theirs = build_pair(subject, reference, draw, 3)
    x = draw.normal(2, 3)
    expect_same(ours(x), theirs(x), look="Is anything else applied?")


@claim("affine", "It keeps the width.")
def it_keeps_the_width(subject: Any, draw: Any) -> None:
    expect_tensor(subject.build(4)(draw.normal(2, 4)), (2, 4))


def found_check(function: Any) -> Check:
    check: Check = function.check
    return check


HIDDEN, PUBLIC = found_check(it_is_affine), found_check(it_keeps_the_width)


class Bent(Affine):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).relu()


def test_a_check_knows_whether_it_is_hidden() -> None:
    assert (HIDDEN.public, HIDDEN.weight, HIDDEN.exercise) == (False, 2, "affine")
    assert (PUBLIC.public, PUBLIC.weight, PUBLIC.claim) == (True, 1.0, "It keeps the width.")
    assert checks_in({"a": it_is_affine, "b": it_keeps_the_width, "c": len, "d": it_is_affine}) == [
        HIDDEN,
        PUBLIC,
    ]


def test_a_check_with_other_arguments_is_refused_when_it_is_written() -> None:
    with pytest.raises(CourseError, match="takes"):

        @claim("affine", "x")
        def stray(subject: Any, draws: Any) -> None: ...


def test_a_right_answer_passes_and_a_wrong_one_fails_on_every_seed() -> None:
    for seed in range(10):
        assert run_check(HIDDEN, here(Affine), here(Affine), seed).passed
        outcome = run_check(HIDDEN, here(Bent), here(Affine), seed)
        assert not outcome.passed
        assert outcome.look == "Is anything else applied?"
        assert not outcome.not_written


@pytest.mark.parametrize(
    "problem", [SystemExit(), KeyboardInterrupt(), RecursionError(), ValueError("mat1\n\tand mat2")]
)
def test_whatever_a_learner_raises_is_an_outcome(problem: BaseException) -> None:
    class Raises(Affine):
        def forward(self, x: Tensor) -> Tensor:
            raise problem

    outcome = run_check(HIDDEN, here(Raises), here(Affine), 0)
    assert not outcome.passed
    assert type(problem).__name__ in outcome.seen
    assert "\n" not in outcome.seen


def test_a_gap_is_not_written_rather_than_wrong() -> None:
    def gap(*args: Any) -> None:
        raise NotImplementedError("week 9, exercise affine")

    outcome = run_check(HIDDEN, here(gap), here(Affine), 0)
    assert (outcome.passed, outcome.not_written) == (False, True)
    assert "week 9, exercise affine" in outcome.seen


def test_a_reference_that_raises_fails_no_learner_silently() -> None:
    """If the reference is broken, the learner's module is never even built."""

    def broken(*args: Any) -> None:
        raise ZeroDivisionError

    outcome = run_check(HIDDEN, here(Affine), here(broken), 0)
    assert not outcome.passed
    assert "ZeroDivisionError" in outcome.seen


def test_a_fault_of_the_check_itself_is_raised_and_not_scored() -> None:
    @claim("affine", "x")
    def faulty(subject: Any, draw: Any) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_check(found_check(faulty), here(Affine), None, 0)
    with pytest.raises(CourseError, match="needs a reference"):
        run_check(HIDDEN, here(Affine), None, 0)


def test_what_a_check_measured_is_seen_although_it_passed() -> None:
    def measures(subject: Subject, draw: Draw) -> str:
        return "0.61 of something"

    check = claim("affine", "It measures.")(measures)
    outcome = run_check(found_check(check), here(Affine), None, 0)
    assert (outcome.passed, outcome.seen) == (True, "0.61 of something")
    assert run_check(PUBLIC, here(Affine), None, 0).seen == ""


def test_every_check_starts_with_nothing_built() -> None:
    subject = here(Affine)
    old = subject.build(2)
    run_check(PUBLIC, subject, None, 0)
    with pytest.raises(SubjectError):
        subject.request("call", target=wire.Handle(old.handle.number + 5), args=(), kwargs={})


# -- answers from anybody ------------------------------------------------------------------------------------

JUNK: list[Any] = [
    None, True, 3, -1.5, NAN, "x" * 50, [], {}, (), [1, None], {"a": 1},
    wire.Handle(99), wire.Other("T"), wire.ParameterOf(1, "zzz"),
    torch.zeros(0), torch.zeros(2, 3), torch.tensor(True), torch.full((2,), NAN), torch.full((2,), 1e38),
]  # fmt: skip


def mangled(chance: random.Random, reply: dict[str, Any]) -> Any:
    """The reply with one thing in it replaced, removed or bent."""

    def junk(value: Any) -> Any:
        bent = []
        if isinstance(value, Tensor):
            bent = [value.bool(), value.long(), value.half(), value[None], value * NAN, value.flatten()]
        return chance.choice(JUNK + 2 * bent)

    if chance.random() < 0.05:
        return junk(None)
    reply = dict(reply)
    key = chance.choice(list(reply))
    value = reply[key]
    if isinstance(value, dict) and value and chance.random() < 0.7:
        inner = chance.choice(list(value))
        reply[key] = {k: v for k, v in value.items() if k != inner or chance.random() < 0.7}
        if inner in reply[key]:
            reply[key][inner] = junk(value[inner])
    elif isinstance(value, list) and value and chance.random() < 0.7:
        reply[key] = [junk(v) if chance.random() < 0.5 else v for v in value]
    elif chance.random() < 0.1:
        del reply[key]
    else:
        reply[key] = junk(value)
    return reply


@claim("affine", "Everything that can be asked is asked.")
def everything_is_asked(subject: Any, reference: Any, draw: Any) -> None:
    ours, theirs = build_pair(subject, reference, draw, 3)
    x, pull = draw.normal(2, 3), draw.normal(2, 3)
    mine, right = ours.gradients(x, cotangent=pull), theirs.gradients(x, cotangent=pull)
    expect_same(mine.output, right.output, look=LOOK)
    expect(len(mine.inputs) == 1 and mine.inputs[0] is not None, seen="no gradient", look=LOOK)
    expect_same(mine.inputs[0], right.inputs[0], look=LOOK)
    for name, wanted in right.parameters.items():
        expect(mine.parameters.get(name) is not None, seen="no gradient", look=LOOK)
        expect_same(mine.parameters[name], wanted, look=LOOK)
    expect_equal(ours.changed_inputs(x), [], look=LOOK)
    report = ours.report()
    expect_equal(report["requires_grad"], {"linear.weight": True, "linear.bias": True}, look=LOOK)
    expect_equal(report["training"], {"": False, "linear": False}, look=LOOK)
    for name, value in ours.parameters().items():
        expect_same(value, theirs.parameters()[name], look=LOOK) if name in theirs.parameters() else None
    expect_equal(subject.describe()[0], "class", look=LOOK)
    part = subject.build_stand_in("linear_read", d_text=4, d_visual=3)
    expect_tensor(part(draw.normal(1, 5, 4), draw.normal(1, 2, 3)), (1, 5, 4))


ASKED = found_check(everything_is_asked)


def test_the_check_that_asks_everything_passes_on_honest_answers() -> None:
    assert run_check(ASKED, here(Affine), here(Affine), 0) == run_check(ASKED, here(Affine), here(Affine), 1)
    assert run_check(ASKED, here(Affine), here(Affine), 0).passed


def sent(check: Any, kind: Any = Affine) -> list[Any]:
    """The messages of one check, over a subject that answers honestly."""
    honest = driver.in_process("Affine", kind)
    messages: list[Any] = []
    run_check(
        check,
        Subject("Affine", lambda request: [messages.append(request), honest(request)][1]),
        here(Affine),
        0,
    )
    return messages


def test_a_pair_is_built_in_one_message_and_forgetting_takes_none() -> None:
    first = sent(ASKED)[0]
    assert [one["op"] for one in first["requests"]] == ["build", "load", "mode"]
    assert first["fresh"]
    assert not any("fresh" in message for message in sent(ASKED)[1:])
    assert "forget" not in {message["op"] for message in sent(ASKED)}


def test_several_replies_read_as_if_each_had_been_asked_alone() -> None:
    said: list[Any] = []
    pair = Subject.here("Affine", Affine, said)
    ours, _ = build_pair(pair, here(Affine), Draw(0), 3)
    alone: list[Any] = []
    other = Subject.here("Affine", Affine, alone)
    built = other.build(3)
    load_or_fail(built, {name: torch.zeros_like(p) for name, p in Affine(3).named_parameters()})
    built.eval()
    assert same_behaviour(said, alone)
    assert ours.handle == built.handle


class Unfit(Affine):
    """Takes no weights by the names that are asked for, and says when it is put into another mode."""

    modes: ClassVar[list[bool]] = []

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.other = nn.Linear(2, 2)

    def train(self, mode: bool = True) -> "Unfit":
        self.modes.append(mode)
        return self


def test_what_comes_after_a_request_that_went_wrong_is_not_done() -> None:
    said: list[Any] = []
    Unfit.modes.clear()
    with pytest.raises(CheckFailure, match="parameters nobody asked for: other"):
        build_pair(Subject.here("Unfit", Unfit, said), here(Affine), Draw(0), 3)
    assert Unfit.modes == []
    assert len(said) == 2
    said.clear()
    with pytest.raises(SubjectError, match="TypeError"):
        build_pair(Subject.here("Unfit", Unfit, said), here(Affine), Draw(0), 3, bias=True)
    assert len(said) == 1


@pytest.mark.parametrize(
    "replies",
    [None, "yes", {}, [], [{"ok": True}], [{"ok": True, "value": wire.Handle(1)}], [1, 2, 3]],
    ids=str,
)
def test_too_few_replies_or_none_are_unreadable(replies: Any) -> None:
    subject = Subject("x", lambda request: {"ok": True, "replies": replies})
    with pytest.raises(SubjectError, match="Unreadable"):
        subject.build_with({})


def test_an_answer_bent_in_any_way_fails_the_check_and_never_the_grader() -> None:
    chance = random.Random(0)
    failed = 0
    messages = len(sent(ASKED))
    for trial in range(200):
        honest, at, asked = driver.in_process("Affine", Affine), chance.randrange(1, messages + 1), [0]

        def ask(request: Any, honest: Any = honest, at: int = at, asked: list[int] = asked) -> Any:
            asked[0] += 1
            reply = honest(request)
            return mangled(chance, reply) if asked[0] == at else reply

        failed += not run_check(ASKED, Subject("Affine", ask), here(Affine), trial).passed
    assert failed > 100, "most of the bent answers should have been noticed"


@pytest.mark.parametrize("reply", [None, [], "yes", {}, {"ok": 1}, {"ok": "True"}, {"value": 3}], ids=str)
def test_an_answer_that_is_none_is_unreadable(reply: Any) -> None:
    with pytest.raises(SubjectError, match="Unreadable"):
        Subject("x", lambda request: reply).describe()


# -- transcripts ---------------------------------------------------------------------------------------------


def transcript(kind: Any, seed: int = 0) -> list[Any]:
    said: list[Any] = []
    run_check(HIDDEN, Subject.here("Affine", kind, said), here(Affine), seed)
    return said


class Written(nn.Module):
    """Affine in other words."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return torch.einsum("bi,oi->bo", x, self.linear.weight) + self.linear.bias


class Exits(Affine):
    def forward(self, x: Tensor) -> Tensor:
        raise SystemExit("two")


def test_behaviour_is_compared_and_not_code() -> None:
    assert same_behaviour(transcript(Affine), transcript(Written))
    assert not same_behaviour(transcript(Affine), transcript(Bent))
    assert not same_behaviour(transcript(Bent), transcript(Bent, seed=1))
    assert not same_behaviour(transcript(Exits), transcript(Affine))
    assert not same_behaviour(transcript(Affine), transcript(Affine)[:-1])


@pytest.mark.parametrize(
    ("left", "right", "alike"),
    [
        ({"ok": False, "kind": "A", "message": "x"}, {"ok": False, "kind": "A", "message": "y"}, True),
        ({"ok": False, "kind": "A"}, {"ok": False, "kind": "B"}, False),
        (torch.tensor([1.0, NAN]), torch.tensor([1.0, NAN]), True),
        (torch.tensor([1.0, NAN]), torch.tensor([NAN, 1.0]), False),
        (torch.tensor([1.0]), torch.tensor([1.0], dtype=torch.float64), False),
        (torch.tensor([1]), torch.tensor([2]), False),
        (torch.zeros(0), torch.zeros(0), True),
        (1, True, False),
        (1.0, 1.0 + 1e-9, True),
        (NAN, NAN, True),
        ([1, "a"], [1, "a"], True),
        ({"a": 1}, {"b": 1}, False),
    ],
)
def test_replies_are_alike_if_they_say_the_same(left: Any, right: Any, alike: bool) -> None:
    assert same_behaviour([left], [right]) is alike
    assert same_behaviour([right], [left]) is alike


# -- in a notebook -------------------------------------------------------------------------------------------


def test_a_failure_has_three_lines_and_survives_pickling() -> None:
    failure = CheckFailure("The claim.", "3 cats", "Where is the fourth?")
    assert str(failure).splitlines() == ["The claim.", "  seen: 3 cats", "  look: Where is the fourth?"]
    again = pickle.loads(pickle.dumps(failure))
    assert (again.claim, again.seen, again.look) == ("The claim.", "3 cats", "Where is the fourth?")
    problem = pickle.loads(pickle.dumps(SubjectError("ValueError", "no", ("Exception",))))
    assert (problem.kind, problem.message, problem.also) == ("ValueError", "no", ("Exception",))


def test_a_failure_shows_the_line_of_the_notebook_that_raised() -> None:
    source = "def widen(x):\n    rows = x.T\n    return   rows @ rows\n"
    linecache.cache["<a cell>"] = (len(source), None, source.splitlines(keepends=True), "<a cell>")
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(source, "<a cell>", "exec"), namespace)

    @claim("widen", "It widens.")
    def it_widens(subject: Subject, draw: Draw) -> None:
        subject(draw.normal(2, 3))

    outcome = run_check(it_widens.check, Subject.here("widen", namespace["widen"]), None, seed=0)  # type: ignore[attr-defined]
    assert "shapes" in outcome.seen
    assert outcome.look.startswith("Your line `return rows @ rows` raises.")
    assert "\n" not in outcome.look
    # A line of ours, or of torch's, is nobody's to mend: the general question stays.
    del namespace["__name__"]
    outcome = run_check(it_widens.check, Subject.here("widen", namespace["widen"]), None, seed=0)  # type: ignore[attr-defined]
    assert outcome.look.startswith("Run the cell with one small input")


def test_a_line_from_a_stranger_is_cut_and_is_text() -> None:
    for line, seen in (("x" * 5000, "x" * 100), (None, ""), (7, "7")):
        reply = {"ok": False, "kind": "ValueError", "also": [], "message": "no", "line": line}
        with pytest.raises(SubjectError) as caught:
            Subject("widen", lambda request, reply=reply: reply)(1)
        assert caught.value.line == seen


def test_the_door_says_one_line_when_all_is_well(capsys: pytest.CaptureFixture[str]) -> None:
    door({"a": it_keeps_the_width})("affine", Affine)
    assert capsys.readouterr().out == "affine: 1 public check passed.\n"


def test_the_door_knows_its_exercises() -> None:
    with pytest.raises(CourseError, match=r"no exercise is called 'afine'; this notebook has affine"):
        door({"a": it_keeps_the_width})("afine", Affine)


@pytest.mark.parametrize("found", [3, None, Affine(2), "Affine", int])
def test_the_door_takes_anything_and_answers_in_three_lines(found: Any) -> None:
    with pytest.raises(CheckFailure) as caught:
        door({"a": it_keeps_the_width})("affine", found)
    assert caught.value.claim == "It keeps the width."
    assert len(str(caught.value).splitlines()) == 3


def test_a_notebook_shows_the_three_lines_and_no_traceback() -> None:
    code = textwrap.dedent(
        '''
        from IPython.core.interactiveshell import InteractiveShell
        shell = InteractiveShell()
        shell.run_cell("""
        from course_lib.checking import claim, door, expect_tensor
        @claim("affine", "It keeps the width.")
        def it_keeps_the_width(subject, draw):
            expect_tensor(subject(draw.normal(2, 4)), (2, 4), look="What is returned?")
        check = door(globals())
        def affine(x):
            return x[:, :3]
        """)
        print("=====")
        shell.run_cell('check("affine", affine)')
        '''
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=120
    )
    shown = done.stdout.split("=====\n")[1]
    assert shown.strip().splitlines() == [
        "Not yet: It keeps the width.",
        "  seen: shape (2, 3)",
        "  look: What is returned?",
    ]
    assert "Traceback" not in done.stderr


def test_a_stand_in_is_an_argument_like_any_other() -> None:
    subject = Subject.here("read", lambda part, text, visual: part(text, visual))
    out = subject(stand_in("linear_read", d_text=4, d_visual=3), torch.zeros(1, 5, 4), torch.zeros(1, 2, 3))
    expect_tensor(out, (1, 5, 4))
