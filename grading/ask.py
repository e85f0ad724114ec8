"""Asks a kernel questions, and waits no longer than a question may take.

The kernel was born with one end of a pair of sockets; on it, `course_lib.driver.serve` answers inside. What
comes back is a stranger's: `course_lib.wire` reads it within caps, and anything that is not an answer ends
the conversation, never the grader.
"""

import select
import time
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from course_lib import wire
from course_lib.errors import WireError
from grading.kernel import Kernel, KernelDied

# The learner's own names are untouched: nothing is assigned, and imports go through a fresh name of ours.
SERVE = (
    "__import__('course_lib.driver', fromlist=['serve']).serve({descriptor}, __import__('__main__').__dict__)"
)
ANSWERS_CAP_BYTES = 128 << 20  # of one conversation: transcripts are kept until the exercise is judged
FIRST_S = 30.0  # more for the first question: the kernel may have to import torch before it can answer


class NoAnswer(Exception):
    """The kernel gave no answer to a question, and will give none to the next.

    Args:
        slow: True if time ran out, False if the kernel broke off.
        seen: a clause for the learner, such as "no answer within 10 seconds".
    """

    def __init__(self, slow: bool, seen: str) -> None:
        super().__init__(seen)
        self.slow = slow
        self.seen = seen


class Conversation:
    """Questions to one kernel, one at a time: call it with a request. One conversation a kernel.

    Args:
        kernel: a live kernel in which the notebook has been run.
        question_s: the longest that one question may take.
        deadline: on the clock of `time.monotonic`; no question waits beyond it.

    Raises:
        NoAnswer: the kernel does not come to answer at all.
    """

    def __init__(self, kernel: Kernel, question_s: float, deadline: float) -> None:
        self.kernel = kernel
        self.question_s = question_s
        self.deadline = deadline
        self._received = 0
        try:
            self._serving = kernel.send(SERVE.format(descriptor=kernel.inside_descriptor))
        except KernelDied as problem:
            raise NoAnswer(False, f"the kernel died: {problem.why}") from None
        self._ask({"op": "forget"}, FIRST_S + question_s)

    def __call__(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Ask one question.

        Raises:
            NoAnswer: time ran out, the kernel died, or what came back is no answer. Then ask no further.
        """
        return self._ask(request, self.question_s)

    def _ask(self, request: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        patience = max(min(seconds, self.deadline - time.monotonic()), 0.001)
        ends = time.monotonic() + patience
        try:
            self.kernel.questions.settimeout(patience)
            self.kernel.questions.sendall(wire.encode(dict(request)))
            while not select.select([self.kernel.questions], [], [], 0.1)[0]:
                if self.kernel.has_ended(self._serving):
                    raise EOFError
                if time.monotonic() > ends:
                    raise TimeoutError
            reply = wire.receive(self.kernel.questions, lambda: ends - time.monotonic())
        except TimeoutError:
            if time.monotonic() >= self.deadline:
                raise NoAnswer(True, "no time was left for the submission") from None
            raise NoAnswer(True, f"no answer within {seconds:g} seconds") from None
        except (EOFError, OSError):
            raise self._broken() from None
        except (WireError, RecursionError, MemoryError):
            raise NoAnswer(False, "what the kernel sent is not an answer") from None
        self._received += _size(reply)
        if self._received > ANSWERS_CAP_BYTES:
            raise NoAnswer(False, f"the answers hold more than {ANSWERS_CAP_BYTES >> 20} MB of numbers")
        if not isinstance(reply, dict):
            raise NoAnswer(False, "what the kernel sent is not an answer")
        return reply

    def _broken(self) -> NoAnswer:
        # The socket closes a moment before the process is seen to have ended.
        time.sleep(0.05)
        if self.kernel.alive:
            return NoAnswer(False, "the kernel stopped answering")
        return NoAnswer(False, f"the kernel died: {self.kernel.why_dead}")


def _size(node: Any) -> int:
    """Roughly the bytes that an answer occupies here: its tensors, and its lists and texts."""
    if isinstance(node, dict):
        return 64 + sum(64 + len(key) + _size(item) for key, item in node.items())
    if isinstance(node, (list, tuple)):
        return 64 + sum(map(_size, node))
    if isinstance(node, Tensor):
        return 64 + node.numel() * node.element_size()
    return 64 + len(node) if isinstance(node, str) else 64
