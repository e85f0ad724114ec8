"""Errors of grading.

GradingError                  carries the exit code the command line ends with
├── UsageError                the instructor asked for something that is not there      exit 2  (ValueError)
├── SubmissionError           a submission cannot be read as a notebook                 exit 2  (ValueError)
├── CourseBroken              the course itself is at fault                             exit 3  (RuntimeError)
└── SandboxError              no sandbox, or it failed its self-test                    exit 3  (RuntimeError)
"""


class GradingError(Exception):
    """Anything grading raises on purpose; the message is one sentence that says what to do."""

    exit_code = 3


class UsageError(GradingError, ValueError):
    """Something was asked for that does not exist, or cannot be done this way."""

    exit_code = 2


class SubmissionError(GradingError, ValueError):
    """A submission is not a notebook: missing, empty, too large, not JSON, or of an unknown format."""

    exit_code = 2


class MachineTrouble(GradingError, RuntimeError):
    """The machine is in the way, and no submission is at fault: put it right, and run the command again."""

    exit_code = 2


class CourseBroken(GradingError, RuntimeError):
    """The course is wrong, not the learner: a reference fails its check, or an authored file is malformed."""


class SandboxError(GradingError, RuntimeError):
    """There is no sandbox to run a stranger's code in, or it does not hold."""
