"""One at a time on one course: a second grader says whom it waits for, and waits.

The lock is the kernel's (flock(2)) on a file in var/, so one that was killed holds nothing: there is no stale
lock to take over, only a stale name in the file, and that is never believed. One for the whole course and not
one for each week, because all weeks share one gradebook.
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from grading.errors import GradingError, MachineTrouble
from grading.layout import Layout

WAIT_S = 600.0


@contextlib.contextmanager
def locked(
    layout: Layout, say: Callable[[str], None], wait_s: float = WAIT_S, what: str = "grading"
) -> Iterator[None]:
    """Hold the course's lock while the block runs.

    Args:
        say: told once whom this one waits for.
        what: "grading", or "collecting": submissions may come in while others are graded.

    Raises:
        GradingError: the other one did not end in `wait_s` seconds.
        MachineTrouble: this file system has no locks.
    """
    layout.var.mkdir(parents=True, exist_ok=True)
    path = _file(layout, what)
    # Binary and unbuffered: on a full disk the lock still holds, and only the name in it is missing.
    with path.open("ab+", buffering=0) as file:
        end, told = time.monotonic() + wait_s, False
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                other = _named(path)
            except OSError as problem:
                raise MachineTrouble(
                    f"{path} cannot be locked ({problem.strerror}), so two graders could write at once; "
                    "name a folder on a local disk with --scratch."
                ) from None
            if time.monotonic() > end:
                raise GradingError(
                    f"another process ({other}) is still {what} for this course after {wait_s:.0f} s; "
                    "run the same command again when it is done."
                )
            if not told:
                say(f"another process ({other}) is {what} for this course; waiting for it")
                told = True
            time.sleep(0.2)
        with contextlib.suppress(OSError):
            file.truncate(0)
            file.write(f"process {os.getpid()}, since {time.strftime('%H:%M:%S')}".encode())
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                file.truncate(0)


def holder(layout: Layout, what: str = "grading") -> str:
    """Who holds the lock now, as text; "" if nobody does. Takes nothing."""
    path = _file(layout, what)
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _named(path)
    except OSError:
        pass
    return ""


def _file(layout: Layout, what: str) -> Path:
    return layout.var / f"{what}.lock"


def _named(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()[:80] or "just starting"
    except OSError:
        return "just starting"
