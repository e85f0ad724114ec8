"""The driver answers whatever a learner wrote, and never dies of it."""

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from course_lib import driver, wire
from course_lib.checking import Instance, Subject
from course_lib.driver import Driver
from course_lib.errors import SubjectError
from course_lib.wire import Handle, Other, ParameterOf, StandIn


class Scale(nn.Module):
    """Multiplies by a learned number, and counts its calls in a buffer."""

    def __init__(self, start: float = 2.0) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(start))
        self.register_buffer("calls", torch.tensor(0))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.calls += 1  # type: ignore[misc, operator]
        return self.factor * x


def call(found: Any, *args: Any, **details: Any) -> dict[str, Any]:
    request = {"op": "call", "target": "found", "args": args, "kwargs": {}, **details}
    return Driver({"found": found}).answer(request)


# -- what is there -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "what"),
    [(Scale, "class"), (len, "function"), (lambda: 1, "function"), (3, "other"), (None, "other")],
)
def test_it_says_what_a_name_stands_for(found: Any, what: str) -> None:
    assert Driver({"found": found}).answer({"op": "describe", "name": "found"})["what"] == what


def test_a_name_that_is_not_there_is_missing() -> None:
    assert Driver({}).answer({"op": "describe", "name": "found"})["what"] == "missing"
    reply = Driver({}).answer({"op": "call", "target": "found", "args": (), "kwargs": {}})
    assert (reply["ok"], reply["kind"]) == (False, "NameError")


@pytest.mark.parametrize(
    "request_",
    [{}, {"op": 3}, {"op": "fly"}, {"op": "build"}, {"op": "load", "handle": Handle(7), "weights": {}}],
)
def test_a_question_that_makes_no_sense_gets_an_answer_all_the_same(request_: dict[str, Any]) -> None:
    assert Driver({}).answer(request_)["ok"] is False


# -- whatever a learner's code raises ------------------------------------------------------------------------


class Unprintable(Exception):
    def __str__(self) -> str:
        raise SystemExit("even this")


@pytest.mark.parametrize(
    "problem",
    [
        ValueError("no"),
        NotImplementedError("week 2"),
        SystemExit(3),
        KeyboardInterrupt(),
        GeneratorExit(),
        BaseException("bare"),
        Unprintable(),
    ],
    ids=lambda problem: type(problem).__name__,
)
def test_whatever_is_raised_becomes_an_answer(problem: BaseException) -> None:
    def found() -> None:
        raise problem

    reply = call(found)
    assert reply["ok"] is False
    assert reply["kind"] == type(problem).__name__
    assert isinstance(reply["message"], str)


def test_endless_recursion_becomes_an_answer() -> None:
    def found() -> Any:
        return found()

    assert call(found)["kind"] == "RecursionError"


def test_a_constructor_that_exits_becomes_an_answer() -> None:
    class Exits(nn.Module):
        def __init__(self) -> None:
            raise SystemExit

    assert (
        Driver({"found": Exits}).answer({"op": "build", "name": "found", "args": (), "kwargs": {}})["kind"]
        == "SystemExit"
    )


def test_a_message_of_any_length_is_cut() -> None:
    def found() -> None:
        raise ValueError("x" * 100_000)

    assert len(call(found)["message"]) == driver.MESSAGE_CAP


# -- calling -------------------------------------------------------------------------------------------------


def test_writing_into_an_argument_is_reported_and_the_sender_keeps_its_own() -> None:
    def found(a: Tensor, b: Tensor, c: dict[str, Tensor]) -> Tensor:
        b[0] = 7
        c["inside"].zero_()
        return a + 1

    a, b, c = torch.ones(2), torch.ones(2), torch.ones(3)
    reply = call(found, a, b, {"inside": c})
    assert reply["changed_inputs"] == [1, 2]
    assert b.tolist() == [1, 1]
    assert c.tolist() == [1, 1, 1]


def test_an_argument_that_holds_nan_and_is_left_alone_is_not_reported() -> None:
    assert call(lambda a: a * 2, torch.tensor([1.0, torch.nan, torch.inf]))["changed_inputs"] == []


def test_an_argument_that_is_resized_is_reported() -> None:
    assert call(lambda a: a.resize_(1), torch.ones(3))["changed_inputs"] == [0]


def test_the_same_question_gets_the_same_answer_whatever_was_drawn_before() -> None:
    found = Driver({"found": lambda: torch.randn(4)})
    request = {"op": "call", "target": "found", "args": (), "kwargs": {}}
    first = found.answer(request)["value"]
    torch.randn(100)
    assert torch.equal(found.answer(request)["value"], first)
    assert not torch.equal(found.answer({**request, "seed": 1})["value"], first)


def test_values_are_computed_without_a_graph_and_gradients_with_one() -> None:
    assert call(lambda a: torch.tensor(torch.is_grad_enabled()), torch.ones(1))["value"].item() is False
    reply = call(lambda a: a * 3, torch.ones(2), cotangent=torch.tensor([1.0, 2.0]), grad=True)
    assert reply["input_gradients"][0].tolist() == [3.0, 6.0]


def test_whole_numbers_get_no_gradient_and_do_not_hinder_others() -> None:
    reply = call(lambda i, a: a[i], torch.tensor([1, 0]), torch.ones(2), cotangent=torch.ones(2), grad=True)
    assert reply["input_gradients"][0] is None
    assert reply["input_gradients"][1].tolist() == [1.0, 1.0]


def test_an_output_without_a_graph_gives_no_gradients_and_no_error() -> None:
    reply = call(lambda a: a.detach(), torch.ones(2), cotangent=torch.ones(2), grad=True)
    assert reply["ok"] is True
    assert reply["input_gradients"] == [None]


def test_a_cotangent_of_another_shape_is_said_rather_than_broadcast() -> None:
    reply = call(lambda a: a.sum(), torch.ones(2), cotangent=torch.ones(2), grad=True)
    assert "shape ()" in reply["gradient_problem"]
    assert "input_gradients" not in reply


def test_gradients_do_not_pile_up_over_two_questions() -> None:
    subject = Subject.here("Scale", Scale)
    scale = subject.build()
    for _ in range(2):
        gradients = scale.gradients(torch.ones(3), cotangent=torch.ones(3))
        assert gradients.parameters["factor"] is not None
        assert gradients.parameters["factor"].item() == 3.0


# -- what comes out ------------------------------------------------------------------------------------------


def test_parameters_of_a_module_keep_their_identity() -> None:
    answers = Driver({"Scale": Scale, "parts": lambda scale: [scale.factor, scale.factor * 1, scale]})
    built = answers.answer({"op": "build", "name": "Scale", "args": (), "kwargs": {}})["value"]
    value = answers.answer({"op": "call", "target": "parts", "args": (built,), "kwargs": {}})["value"]
    assert value[0] == ParameterOf(built.number, "factor")
    assert isinstance(value[1], Tensor)
    assert value[2] == built


@pytest.mark.parametrize(
    "thing", [object(), {1, 2}, b"x", 1j, range(3)], ids=lambda thing: type(thing).__name__
)
def test_what_is_not_plain_is_named_by_its_type(thing: Any) -> None:
    assert call(lambda: thing)["value"] == Other(type(thing).__name__)


def test_a_value_that_holds_itself_is_cut_off() -> None:
    loop: list[Any] = []
    loop.append(loop)
    reply = call(lambda: loop)
    assert reply["ok"] is True
    wire.decode(wire.encode(reply))


def test_a_result_is_a_copy_of_what_the_learner_keeps() -> None:
    kept = torch.zeros(2)
    value = call(lambda: kept)["value"]
    kept += 1
    assert value.tolist() == [0.0, 0.0]


# -- modules -------------------------------------------------------------------------------------------------


@pytest.fixture
def subject() -> Subject:
    return Subject.here("Scale", Scale)


def test_weights_go_in_by_name_and_misfits_are_named(subject: Subject) -> None:
    scale = subject.build()
    assert scale.load({"factor": torch.tensor(5.0)}) == ([], [])
    assert scale(torch.ones(1)).item() == 5.0
    assert scale.load({"faktor": torch.tensor(5.0)}) == (["factor"], ["faktor"])
    with pytest.raises(SubjectError, match="size mismatch"):
        scale.load({"factor": torch.zeros(2)})


def test_loading_does_not_tie_two_modules_together(subject: Subject) -> None:
    weights = {"factor": torch.tensor(5.0)}
    one, other = subject.build(), subject.build()
    one.load(weights)
    other.load(weights)
    weights["factor"] += 1
    assert one(torch.ones(1)).item() == other(torch.ones(1)).item() == 5.0


def test_mode_and_buffers_are_reported(subject: Subject) -> None:
    scale = subject.build()
    scale(torch.ones(1))
    scale.eval()
    scale(torch.ones(1))
    report = scale.report()
    assert report["training"] == {"": False}
    assert report["requires_grad"] == {"factor": True}
    assert report["buffers"]["calls"].item() == 1


def test_an_object_that_is_no_module_is_said_to_be_none() -> None:
    subject = Subject.here("Plain", type("Plain", (), {}))
    with pytest.raises(SubjectError, match=r"nn\.Module was expected"):
        subject.build().parameters()


def test_a_stand_in_is_built_on_the_learners_side() -> None:
    subject = Subject.here("call_it", lambda part, x: part(x, torch.zeros(1, 2, 3)))
    out = subject(StandIn("linear_read", {"d_text": 4, "d_visual": 3}), torch.zeros(1, 5, 4))
    assert out.shape == (1, 5, 4)
    with pytest.raises(SubjectError, match="no stand-in called"):
        subject(StandIn("answers", {}), torch.zeros(1))


def test_forgetting_drops_every_object(subject: Subject) -> None:
    scale = subject.build()
    subject.forget()
    with pytest.raises(SubjectError, match="no object number"):
        scale(torch.ones(1))


# -- over a socket -------------------------------------------------------------------------------------------


@pytest.fixture
def served() -> Iterator[Any]:
    """A function that serves a namespace in a thread and returns a subject that asks it."""
    opened: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def serve(name: str, **namespace: Any) -> Subject:
        connection, other_end = socket.socketpair()
        connection.settimeout(20)
        thread = threading.Thread(target=driver.serve, args=(other_end.detach(), namespace), daemon=True)
        thread.start()
        threads.append(thread)
        opened.append(connection)

        def ask_it(request: Any) -> dict[str, Any]:
            wire.send(connection, dict(request))
            reply: dict[str, Any] = wire.receive(connection)
            return reply

        return Subject(name, ask_it)

    yield serve
    for connection in opened:
        connection.close()
    for thread in threads:
        thread.join(timeout=10)
        assert not thread.is_alive(), "the driver goes on after the other side hung up"


def test_the_same_answers_come_over_a_socket(served: Any) -> None:
    here, there = Subject.here("Scale", Scale), served("Scale", Scale=Scale)
    x, pull = torch.randn(4), torch.randn(4)
    answers = []
    for subject in (here, there):
        scale = subject.build(start=1.5)
        gradients = scale.gradients(x, cotangent=pull)
        answers.append(
            [scale(x), gradients.inputs[0], gradients.parameters["factor"], scale.parameters()["factor"]]
        )
    for left, right in zip(*answers, strict=True):
        assert torch.equal(left, right)


class Poison(Tensor):
    """Raises whenever anybody looks."""

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise SystemExit(f"no {func.__name__}")


@pytest.mark.parametrize(
    "value",
    [10**5000, "\ud800", torch.zeros(1).as_subclass(Poison), torch.zeros(1, device="meta"), {1: 2}],
    ids=["ten to the five thousand", "half a character", "poison", "meta", "odd key"],
)
def test_after_an_answer_that_cannot_be_sent_the_driver_goes_on(served: Any, value: Any) -> None:
    subject = served("found", found=lambda: value, fine=lambda: 3)
    try:
        subject()
    except SubjectError:
        pass
    subject.name = "fine"
    assert subject() == 3


def test_what_a_learner_prints_while_asked_is_nobodys_answer(
    served: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    def found() -> int:
        print("the answer is 4")
        return 3

    assert served("found", found=found)() == 3
    assert capsys.readouterr().out == ""


def test_exiting_ends_neither_the_thread_nor_the_conversation(served: Any) -> None:
    def found(exits: bool) -> int:
        if exits:
            raise SystemExit
        return 3

    subject = served("found", found=found)
    with pytest.raises(SubjectError, match="SystemExit"):
        subject(True)
    assert subject(False) == 3


# -- what a call costs, and gradients alone -----------------------------------------------------------------


def test_flops_are_counted_on_this_side_and_sent_as_one_number() -> None:
    built = Subject.here("found", lambda: nn.Linear(5, 7)).build()
    assert built.flops(torch.ones(3, 5)) == 2 * 3 * 5 * 7


@pytest.mark.parametrize("value", [None, 1.5, True, "12"])
def test_flops_that_are_no_whole_number_are_not_believed(value: Any) -> None:
    subject = Subject("found", lambda _: {"ok": True, "value": value if value is not None else Handle(1)})
    with pytest.raises(SubjectError, match="whole number"):
        Instance(subject, Handle(1)).flops(torch.ones(1))


def test_gradients_of_parameters_alone_are_those_of_all_up_to_rounding() -> None:
    built = Subject.here("found", lambda: nn.Linear(5, 7)).build()
    visual, pull = torch.randn(3, 5), torch.randn(3, 7)
    alone = built.parameter_gradients(visual, cotangent=pull)
    whole = built.gradients(visual, cotangent=pull)
    assert alone.keys() == whole.parameters.keys()
    for name, gradient in whole.parameters.items():
        found = alone[name]
        assert gradient is not None
        assert found is not None
        assert found.dtype is torch.float32
        assert torch.allclose(found, gradient, rtol=2**-7)
    reply = call(nn.Linear(5, 7), visual, grad=True, cotangent=pull, only_parameters=True)
    assert (reply["value"], reply["input_gradients"]) == (None, [None])


def test_a_seed_for_the_building_gives_other_weights_and_the_same_again() -> None:
    subject = Subject.here("found", lambda: nn.Linear(5, 7))
    one, again, other = (subject.build_from(seed).parameters()["weight"] for seed in (4, 4, 5))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
