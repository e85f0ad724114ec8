"""What the machine itself can do to a command: no room on a disk, no right to write, a gradebook in use.

Such trouble is nobody's fault and no submission's. It ends the command with one sentence, and the same
command, run again, goes on from where it was.
"""

import errno
import os
import re
import shutil
import sqlite3
from collections.abc import Iterator

from grading.errors import MachineTrouble

FULL = (errno.ENOSPC, errno.EDQUOT)
CLOSED = (errno.EROFS, errno.EACCES, errno.EPERM)
TOO_MANY = (errno.EMFILE, errno.ENFILE)
FORESEEN = (*FULL, *CLOSED, *TOO_MANY)
ROOM = "make room there, or name another place with --scratch"
RIGHT = "make it writable, or name another place with --scratch"
AGAIN = "then run the same command again: nothing half-written was left, and it goes on"

# By sqlite's own numbers (https://sqlite.org/rescode.html), not by words that a learner's file could hold.
SQLITE = {
    sqlite3.SQLITE_FULL: f"no space left on its disk; {ROOM}, {AGAIN}.",
    sqlite3.SQLITE_IOERR: f"its disk failed or is full; look at the disk, {AGAIN}.",
    sqlite3.SQLITE_BUSY: (
        "another program is writing to it (formgrader, or an nbgrader command); let that one finish, "
        f"{AGAIN}."
    ),
    sqlite3.SQLITE_LOCKED: f"another program holds it; let that one finish, {AGAIN}.",
    sqlite3.SQLITE_READONLY: f"it cannot be written to; {RIGHT}, {AGAIN}.",
    sqlite3.SQLITE_CANTOPEN: f"it, or its folder, cannot be opened; {RIGHT}, {AGAIN}.",
    sqlite3.SQLITE_PERM: f"it may not be opened; {RIGHT}, {AGAIN}.",
}


def of(problem: BaseException, place: object = "") -> MachineTrouble | None:
    """The trouble behind an exception, or None if it has another reason.

    Args:
        problem: whatever was raised; what it was raised from is looked at, too.
        place: the file, where the exception does not name one.
    """
    for one in _behind(problem):
        if isinstance(one, MachineTrouble):
            return one
        if isinstance(one, OSError) and one.errno in FORESEEN:
            where = os.fsdecode(one.filename) if one.filename else str(place or "a file")
            what = {**dict.fromkeys(FULL, ROOM), **dict.fromkeys(CLOSED, RIGHT)}
            todo = what.get(one.errno, "close other programs, or raise the limit (ulimit -n)")
            return MachineTrouble(f"{where}: {os.strerror(one.errno)}; {todo}, {AGAIN}.")
        if isinstance(one, sqlite3.Error):
            sentence = SQLITE.get(getattr(one, "sqlite_errorcode", 0) & 0xFF)
            if sentence is not None:
                return MachineTrouble(f"{place or 'the gradebook'}: {sentence}")
    return None


def _behind(problem: BaseException | None) -> Iterator[BaseException]:
    """The exception, and what it came from, each once. SQLAlchemy keeps the driver's own as `orig`."""
    seen: list[BaseException] = []
    todo = [problem]
    while todo:
        one = todo.pop(0)
        if isinstance(one, BaseException) and one not in seen:
            seen.append(one)
            yield one
            before = None if one.__suppress_context__ else one.__context__
            todo += [getattr(one, "orig", None), one.__cause__, before, *_of_a_copied_folder(one)]


def _of_a_copied_folder(problem: BaseException) -> Iterator[OSError]:
    """shutil.copytree keeps what happened to each file as three texts: from, to, and why."""
    if isinstance(problem, shutil.Error) and problem.args and isinstance(problem.args[0], list):
        for _, target, why in (one for one in problem.args[0] if isinstance(one, tuple) and len(one) == 3):
            number = re.match(r"\[Errno (\d+)\]", str(why))
            if number:
                yield OSError(int(number[1]), os.strerror(int(number[1])), str(target))
