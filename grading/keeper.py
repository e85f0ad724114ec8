"""Stands outside a box that has no namespaces, and sees to it that nothing in it outlives it.

In a process namespace the kernel does that: with number 1 ends everything. Here it takes a process of ours,
the keeper. Every orphan below it becomes its child (PR_SET_CHILD_SUBREAPER of prctl(2)), so that no daemon of
a daemon gets out of its sight. It ends everything when the box's first process ends, or when the pipe that
the grader holds closes: by order, or because the grader is no more.

Started by root, the box has a user id of its own, and one call, kill(-1), reaches every process of that id.
Started by anybody else, the keeper stops all that it finds, until it finds nothing new, and then kills it.

Run as a file, by a bare interpreter; it imports nothing of ours and runs nothing of a learner's.
"""

import contextlib
import ctypes
import json
import os
import select
import signal
import sys
import time
from typing import Any, NoReturn

PR_SET_CHILD_SUBREAPER = 36  # prctl(2)
PAUSE_S = 0.002
LAST_DESCRIPTOR = 2**31 - 1


def main(orders: dict[str, Any]) -> None:
    """Start the box's first process, and wait for its end or the pipe's.

    Args:
        orders: "uid", which the box runs as (None to stay); "line", its command; "environment"; "home", where
            it starts.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        sys.exit("this kernel gives orphans to nobody (PR_SET_CHILD_SUBREAPER)")
    awake, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    first = os.fork()
    if first == 0:
        _become_the_box(orders)
    # What was opened for the box is the box's alone: the other end has to see when it closes.
    os.closerange(1, awake)
    os.closerange(wake + 1, LAST_DESCRIPTOR)
    running = True
    while running:
        ready, _, _ = select.select([0, awake], [], [])
        if awake in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(awake, 4096)
        running = 0 not in ready and first not in _take_in()
    while _any_left():
        end_all(orders["uid"])
        time.sleep(PAUSE_S)


def _become_the_box(orders: dict[str, Any]) -> NoReturn:
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.setsid()
        uid = orders["uid"]
        if uid is not None:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)  # root's capabilities go with it
        os.chdir(orders["home"])
        os.execve(orders["line"][0], orders["line"], orders["environment"])
    except BaseException as problem:
        os.write(2, f"{type(problem).__name__}: {problem}\n".encode())
    finally:
        os._exit(1)


def _take_in() -> list[int]:
    """Every child that has ended; they would count against the box's processes."""
    ended = []
    with contextlib.suppress(ChildProcessError):
        while pid := os.waitpid(-1, os.WNOHANG)[0]:
            ended.append(pid)
    return ended


def _any_left() -> bool:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def end_all(uid: int | None) -> None:
    """Kill everything below this process once; what forked meanwhile is there for the next time."""
    if uid is not None:
        killer = os.fork()
        if killer == 0:
            with contextlib.suppress(OSError):
                os.setresuid(uid, uid, uid)
                os.kill(-1, signal.SIGKILL)  # everything that this user may signal; not the one that asks
            os._exit(0)
        return  # not waited for: it is that user now, and could be stopped; then the next one ends it, too
    stopped: set[int] = set()
    while found := set(below(os.getpid())) - stopped:
        for pid in found:
            _signal(pid, signal.SIGSTOP)
        stopped |= found
    for pid in stopped:
        _signal(pid, signal.SIGKILL)


def below(pid: int) -> list[int]:
    """Every process below this one, parents first."""
    parents: dict[int, int] = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError, ValueError), open(f"/proc/{name}/stat") as file:
            parents[int(name)] = int(file.read().rpartition(")")[2].split()[1])
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found[1:]


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
