"""Errors of course_lib.

CourseError
├── ShapeError        a tensor or a size does not fit                       (ValueError)
├── ChoiceError       a name is not one of those that there are             (ValueError)
├── DataError         a file in data/ is missing, damaged or not ours       (OSError)
├── WireError         bytes from the other side of a kernel are not a message (ValueError)
├── SubjectError      the learner's object raised while a check used it     (RuntimeError)
└── CheckFailure      a check on learner code did not hold                  (AssertionError)
"""


class CourseError(Exception):
    """Anything course_lib raises on purpose."""


class ShapeError(CourseError, ValueError):
    """A tensor or a size does not fit; the message has the numbers."""


class ChoiceError(CourseError, ValueError):
    """A name is none of those that there are; the message has them."""


class DataError(CourseError, OSError):
    """A shipped file is missing, damaged, or not the one the manifest names."""


class WireError(CourseError, ValueError):
    """Bytes that should be a message are not one; see `course_lib.wire`."""


class SubjectError(CourseError, RuntimeError):
    """The learner's object raised, or is not there, while a check was using it.

    Args:
        kind: name of the exception's class on the learner's side, such as "NotImplementedError".
        message: its text, cut to a readable length.
        also: names of the classes it inherits from, so that a subclass of ValueError counts as one.
        line: the line of the notebook that was running, if one was.
    """

    def __init__(self, kind: str, message: str, also: tuple[str, ...] = (), line: str = "") -> None:
        super().__init__(kind, message, also, line)
        self.kind = kind
        self.message = message
        self.also = also
        self.line = line

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}" if self.message else self.kind


class CheckFailure(CourseError, AssertionError):
    """A check did not hold. Three lines: claim, seen, look.

    Args:
        claim: what should be true, in the learner's terms.
        seen: what was measured, with its number. Never the expected tensor.
        look: the one or two questions a teacher would ask next.
    """

    def __init__(self, claim: str, seen: str, look: str) -> None:
        super().__init__(claim, seen, look)
        self.claim = claim
        self.seen = seen
        self.look = look

    def __str__(self) -> str:
        return f"{self.claim}\n  seen: {self.seen}\n  look: {self.look}"

    def _render_traceback_(self) -> list[str]:
        # IPython calls this instead of printing our frames, in which a learner has nothing to find.
        return [f"Not yet: {self}"]
