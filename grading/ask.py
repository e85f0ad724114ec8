"""Asks a kernel questions, and waits no longer than a question may take.

The kernel was born with one end of a pair of sockets; on it, `course_lib.driver.serve` answers inside. What
comes back is a stranger's: `course_lib.wire` reads it within caps, and anything that is not an answer ends
the conversation, never the grader.
"""

import math
import select
import time
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from course_lib import wire
from course_lib.errors import WireError
from grading.kernel import Kernel, KernelDied
from grading.limits import Limits, refused
from grading.usage import Span

# The learner's own names are untouched: nothing is assigned, and imports go through a fresh name of ours.
SERVE = (
    "__import__('course_lib.driver', fromlist=['serve']).serve({descriptor}, __import__('__main__').__dict__)"
)
ANSWERS_CAP_BYTES = 128 << 20  # of one conversation: transcripts are kept until the exercise is judged
FIRST_S = 30.0  # more for the first question: the kernel may have to import torch before it can answer
LOOK_S = 0.1  # between two looks at whether there is an answer, time, and a kernel


class NoAnswer(Exception):
    """The kernel gave no answer to a question, and will give none to the next.

    Args:
        slow: True if time ran out, False if the kernel broke off.
        seen: a clause for the learner, such as "it gave no answer within 10 seconds".
    """

    def __init__(self, slow: bool, seen: str) -> None:
        super().__init__(seen)
        self.slow = slow
        self.seen = seen


class Conversation:
    """Questions to one kernel, one at a time: call it with a request. One conversation a kernel.

    Args:
        kernel: a live kernel in which the notebook has been run.
        limits: what one question may take, and what the refusals of the kernel's system mean.
        deadline: on the clock of `time.monotonic`; no question waits beyond it.
        cpu_left_s: what is left of the submission's processor time; no question uses more.

    Raises:
        NoAnswer: the kernel does not come to answer at all.
    """

    def __init__(self, kernel: Kernel, limits: Limits, deadline: float, cpu_left_s: float = math.inf) -> None:
        self.kernel = kernel
        self.limits = limits
        self.deadline = deadline
        self.refusals = 0  # how often a limit, and not the learner's code, was why there was an error
        self._received = 0
        self._cpu_left_s = cpu_left_s
        self._used = kernel.span()
        # What is printed while it is asked goes nowhere: it is neither read nor counted.
        kernel.stop_listening()
        try:
            self._serving = kernel.send(SERVE.format(descriptor=kernel.inside_descriptor))
        except KernelDied as problem:
            raise NoAnswer(False, f"the kernel died: {problem.why}") from None
        self._ask({"op": "forget"}, FIRST_S)

    def __call__(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Ask one question.

        Raises:
            NoAnswer: time ran out, the kernel died, or what came back is no answer. Then ask no further.
        """
        reply = self._ask(request)
        reply.pop("limit", None)  # ours to set
        if not reply.get("ok"):
            kind, message = str(reply.get("kind")), str(reply.get("message"))
            limit = refused(kind, message, kind == "BlockingIOError" and self.kernel.crowded())
            if limit:
                self.refusals += 1
                reply["limit"] = f"it {self.limits.over(limit)}"
        return reply

    def _ask(self, request: Mapping[str, Any], more_s: float = 0.0) -> dict[str, Any]:
        patience = max(min(self.limits.question_s + more_s, self.deadline - time.monotonic()), 0.001)
        ends = time.monotonic() + patience
        span = self.kernel.span()

        def left() -> float:
            return 0.0 if self._over_cpu(span, more_s) else ends - time.monotonic()

        try:
            self.kernel.questions.settimeout(patience)
            self.kernel.questions.sendall(wire.encode(dict(request)))
            while not select.select([self.kernel.questions], [], [], LOOK_S)[0]:
                if self.kernel.has_ended(self._serving):
                    raise EOFError
                if left() <= 0:
                    raise TimeoutError
            reply = wire.receive(self.kernel.questions, left)
        except TimeoutError:
            raise NoAnswer(True, self._why_late(span, more_s)) from None
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

    def _over_cpu(self, span: Span, more_s: float) -> str:
        """Which limit of processor time is met; "" for none."""
        if self._used.cpu_s() > self._cpu_left_s:
            return "submission_cpu_s"
        allowed = self.limits.amount("question_cpu_s") + more_s
        return "question_cpu_s" if span.cpu_s() > allowed else ""

    def _why_late(self, span: Span, more_s: float) -> str:
        over = self._over_cpu(span, more_s)
        if over == "submission_cpu_s":
            return f"none was left of {self.limits.used_up(over)}"
        if over:
            return f"it {self.limits.over(over)}"
        if time.monotonic() >= self.deadline:
            return f"no time was left of {self.limits.used_up('submission_s')}"
        if more_s:
            return f"the kernel did not come to answer within {self.limits.question_s + more_s:g} seconds"
        return f"it {self.limits.over('question_s')}"

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
