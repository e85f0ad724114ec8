"""Questions to a kernel: answered in time, or ended; whatever comes back is no danger."""

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from course_lib import driver, wire
from grading import ask
from grading.ask import Conversation, NoAnswer
from grading.limits import Limits
from grading.usage import Span, Usage


class KernelOfThreads:
    """Stands in for a kernel: the other end of the sockets is a thread of this process."""

    inside_descriptor = 0
    why_dead = "its process ended"

    def __init__(self, behaviour: Any) -> None:
        self.questions, inside = socket.socketpair()
        self.alive = True
        self.usage = Usage()
        self.sent: list[str] = []
        self.thread = threading.Thread(target=behaviour, args=(inside,), daemon=True)
        self.thread.start()

    def send(self, source: str) -> str:
        self.sent.append(source)
        return "id"

    def span(self) -> Span:
        return Span(self.usage)

    def stop_listening(self) -> None:
        self.listens = False

    def crowded(self) -> bool:
        return False

    def has_ended(self, request: str) -> bool:
        assert request == "id"
        return not self.alive


def answers(*replies: Any) -> Any:
    """Answer each question with the next of these: values are encoded, bytes sent as they are."""

    def behave(inside: socket.socket) -> None:
        with inside:
            for reply in [{"ok": True}, *replies]:
                wire.receive(inside)
                inside.sendall(reply if isinstance(reply, bytes) else wire.encode(reply))
            time.sleep(0.2)

    return behave


@pytest.fixture
def talk() -> Iterator[Any]:
    opened: list[KernelOfThreads] = []

    def start(behaviour: Any, question_s: float = 1.0, seconds: float = 60.0) -> Conversation:
        kernel = KernelOfThreads(behaviour)
        opened.append(kernel)
        return Conversation(kernel, Limits(question_s=question_s), time.monotonic() + seconds)  # type: ignore[arg-type]

    yield start
    for kernel in opened:
        kernel.questions.close()
        kernel.thread.join(5)


def test_a_question_gets_its_answer(talk: Any) -> None:
    conversation = talk(answers({"ok": True, "value": torch.arange(3)}))
    assert torch.equal(conversation({"op": "call"})["value"], torch.arange(3))


def test_the_driver_answers_over_the_socket(talk: Any) -> None:
    def behave(inside: socket.socket) -> None:
        driver.serve(inside.detach(), {"double": lambda x: 2 * x})

    conversation = talk(behave)
    reply = conversation({"op": "call", "target": "double", "args": (torch.ones(2),), "kwargs": {}})
    assert torch.equal(reply["value"], torch.full((2,), 2.0))


def test_an_answer_that_cannot_be_read_becomes_an_error_of_the_learners(talk: Any) -> None:
    """A tensor subclass may raise anything while it is encoded; the conversation goes on."""

    class Trap(torch.Tensor):
        @classmethod
        def __torch_function__(cls, *_: Any, **__: Any) -> Any:
            raise SystemExit(0)

    trap = torch.ones(2).as_subclass(Trap)

    def behave(inside: socket.socket) -> None:
        driver.serve(inside.detach(), {"trap": lambda: trap, "fine": lambda: 1})

    conversation = talk(behave)
    for name, ok in (("trap", False), ("fine", True)):
        assert conversation({"op": "call", "target": name, "args": (), "kwargs": {}})["ok"] is ok


def test_silence_ends_after_the_questions_time(talk: Any) -> None:
    conversation = talk(answers(), question_s=0.1)
    conversation.kernel.questions.settimeout(None)
    started = time.monotonic()

    with pytest.raises(NoAnswer, match=r"^it gave no answer within 0\.1 seconds|stopped answering") as caught:
        conversation({"op": "call"})
    assert time.monotonic() - started < 2
    assert caught.value.slow


def test_a_drip_of_bytes_does_not_stretch_the_time(talk: Any) -> None:
    def drip(inside: socket.socket) -> None:
        with inside:
            wire.receive(inside)
            inside.sendall(wire.encode({"ok": True}))
            wire.receive(inside)
            frame = wire.encode({"ok": True, "value": torch.zeros(1000)})
            try:
                for place in range(len(frame)):
                    inside.sendall(frame[place : place + 1])
                    time.sleep(0.02)
            except OSError:
                return

    conversation = talk(drip, question_s=0.5)
    started = time.monotonic()
    with pytest.raises(NoAnswer) as caught:
        conversation({"op": "call"})
    assert caught.value.slow
    assert time.monotonic() - started < 1.5
    conversation.kernel.questions.close()


def test_the_submissions_deadline_counts_before_the_questions(talk: Any) -> None:
    conversation = talk(answers(), question_s=30)
    conversation.deadline = time.monotonic() + 0.05
    with pytest.raises(NoAnswer, match="no time was left"):
        conversation({"op": "call"})


@pytest.mark.parametrize(
    "garbage",
    [
        b"HTTP/1.1 200 OK\r\n\r\n" * 10,
        wire.HEAD.pack(wire.MAGIC, 1 << 31, 0),
        wire.HEAD.pack(wire.MAGIC, 4, 1 << 60) + b"null",
        wire.HEAD.pack(wire.MAGIC, 9, 0) + b'{"$x": 1}',
        wire.HEAD.pack(wire.MAGIC, 200_000, 0) + b"[" * 200_000,
        wire.encode([1, 2, 3]),
        wire.encode("right"),
    ],
    ids=["text", "long header", "long payload", "unknown mark", "deep", "a list", "a word"],
)
def test_what_is_no_answer_ends_the_conversation(talk: Any, garbage: bytes) -> None:
    with pytest.raises(NoAnswer) as caught:
        talk(answers(garbage))({"op": "call"})
    assert not caught.value.slow


def test_a_broken_connection_says_why_the_kernel_died(talk: Any) -> None:
    def leave(inside: socket.socket) -> None:
        with inside:
            wire.receive(inside)
            inside.sendall(wire.encode({"ok": True}))
            wire.receive(inside)

    conversation = talk(leave)
    conversation.kernel.alive = False
    with pytest.raises(NoAnswer, match="the kernel died: its process ended"):
        conversation({"op": "call"})


def test_answers_together_have_a_cap(talk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ask, "ANSWERS_CAP_BYTES", 10_000)
    large = {"ok": True, "value": torch.zeros(1000)}
    conversation = talk(answers(large, large, large))
    conversation({"op": "call"})
    conversation({"op": "call"})
    with pytest.raises(NoAnswer, match="more than"):
        conversation({"op": "call"})
