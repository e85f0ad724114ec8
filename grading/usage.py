"""Counts what the processes of a box use, from outside: processor time, and how many there are.

Read from /proc (proc(5), `stat`), in looks a tenth of a second apart. A process that ended between two looks
is in the books of whoever waited for it: its parent, or number 1 of its process namespace, which takes in
every orphan. So children that live for a millisecond count as well.
"""

import os
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass

TICKS = os.sysconf("SC_CLK_TCK")  # a second

Key = tuple[int, int]  # a process's number, and when it started: numbers are used again


@dataclass(frozen=True)
class Process:
    """One process at one look.

    Args:
        own: processor time of its own, in ticks.
        waited: that of the children it waited for, and of theirs.
        threads: how many it has.
    """

    key: Key
    parent: int
    own: int
    waited: int
    threads: int


@dataclass(frozen=True)
class Look:
    """What was seen until one look.

    Args:
        number: how many looks there were.
        cpu_s: processor time so far, in seconds.
        tasks: processes and threads in this moment.
    """

    number: int = 0
    cpu_s: float = 0.0
    tasks: int = 0


class Usage:
    """The books of one box. One thread looks; any may read `last`, which is replaced and never changed."""

    def __init__(self) -> None:
        self.last = Look()
        self._before: dict[Key, Process] = {}
        self.beginning: deque[Span] = deque()  # spans that wait for their first look
        self._ticks = 0

    def look(self, pids: Sequence[int]) -> Look:
        """Count what was used since the look before.

        Args:
            pids: every process of the box; its first one, which takes in orphans, comes first.
        """
        found = [process for process in map(_read, pids) if process is not None]
        now = {process.key: process for process in found}
        if now:  # a box that is gone uses nothing
            first = found[0].key[0] if found else 0
            self._ticks += _spent(self._before, now, first)
            self._before = now
        threads = sum(process.threads for process in found)
        self.last = Look(self.last.number + 1, self._ticks / TICKS, threads)
        while self.beginning:
            self.beginning.popleft().begin(self.last)
        return self.last


class Span:
    """What a box used since a moment. Counted from the first look after it: never what was used before."""

    def __init__(self, usage: Usage) -> None:
        self._usage = usage
        self._start: float | None = None
        usage.beginning.append(self)

    def begin(self, look: Look) -> None:
        self._start = look.cpu_s

    def cpu_s(self) -> float:
        """Seconds of processor time."""
        return 0.0 if self._start is None else self._usage.last.cpu_s - self._start


def open_files(pid: int) -> int:
    """How many files a process has open; 0 where that may not be seen."""
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return 0


def tasks(pids: Sequence[int]) -> int:
    """How many processes and threads these are in this moment; one that ended is none."""
    return sum(one.threads for one in map(_read, pids) if one is not None)


def _spent(before: dict[Key, Process], now: dict[Key, Process], first: int) -> int:
    """Ticks used between two looks."""
    own = sum(one.own - (before[key].own if key in before else 0) for key, one in now.items())
    waited = {key[0]: one.waited - (before[key].waited if key in before else 0) for key, one in now.items()}
    # What somebody waited for was partly counted already, while it lived.
    counted: dict[int, int] = defaultdict(int)
    parents = {key[0]: one.parent for key, one in before.items()}
    for key, one in before.items():
        if key in now:
            continue
        heir = one.parent
        for _ in parents:  # no further than there are processes, whatever their numbers say
            if heir in waited or heir not in parents:
                break
            heir = parents[heir]
        counted[heir if heir in waited else first] += one.own + one.waited
    for heir, ticks in counted.items():
        left = ticks - waited.get(heir, 0)
        waited[heir] = max(waited.get(heir, 0) - ticks, 0)
        if left > 0 and heir != first:
            # Its children were orphans by then: number 1 had them, and not who ended beside them.
            waited[first] = max(waited.get(first, 0) - left, 0)
    return own + sum(waited.values())


def _read(pid: int) -> Process | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # The name may hold anything, a bracket too; what follows its last one are numbers.
            words = file.read().rpartition(b")")[2].split()
    except OSError:  # it ended meanwhile
        return None
    return Process(
        key=(pid, int(words[19])),
        parent=int(words[1]),
        own=int(words[11]) + int(words[12]),
        waited=int(words[13]) + int(words[14]),
        threads=int(words[17]),
    )
