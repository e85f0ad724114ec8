"""What a box uses, counted from outside: nothing twice, and nobody too short-lived to count."""

import os
import time
from pathlib import Path

import pytest

from grading import sandbox, usage
from grading.box import Box, new_share
from grading.sandbox import Boxed
from grading.usage import Key, Process, Span, Usage

FIRST, KERNEL, CHILD, GRANDCHILD = 1, 10, 20, 30


def books(*rows: tuple[int, int, int, int]) -> dict[Key, Process]:
    """One look: (number, parent, own, waited) of each process."""
    return {(pid, 5): Process((pid, 5), parent, own, waited, 1) for pid, parent, own, waited in rows}


def spent(before: dict[Key, Process], now: dict[Key, Process]) -> int:
    return usage._spent(before, now, FIRST)


def test_what_lives_counts_by_what_it_used_since() -> None:
    before = books((FIRST, 0, 1, 0), (KERNEL, FIRST, 100, 7))
    now = books((FIRST, 0, 1, 0), (KERNEL, FIRST, 130, 7), (CHILD, KERNEL, 4, 0))
    assert spent(before, now) == 34


def test_a_child_that_was_never_seen_counts_by_who_waited_for_it() -> None:
    before = books((FIRST, 0, 0, 0), (KERNEL, FIRST, 100, 0))
    assert spent(before, books((FIRST, 0, 0, 9), (KERNEL, FIRST, 100, 50))) == 59


def test_a_child_that_was_seen_is_not_counted_again_when_it_is_waited_for() -> None:
    before = books((FIRST, 0, 0, 0), (KERNEL, FIRST, 100, 0), (CHILD, KERNEL, 40, 2))
    assert spent(before, books((FIRST, 0, 0, 0), (KERNEL, FIRST, 100, 45))) == 3


def test_a_family_that_ends_at_once_is_counted_once_whoever_waited_for_whom() -> None:
    """The child is killed, and its own with it: number 1 takes that one in, and the kernel has the other."""
    before = books(
        (FIRST, 0, 0, 0), (KERNEL, FIRST, 100, 0), (CHILD, KERNEL, 40, 0), (GRANDCHILD, CHILD, 60, 0)
    )
    assert spent(before, books((FIRST, 0, 0, 63), (KERNEL, FIRST, 100, 45))) == 3 + 5
    # Or the child had waited before it went.
    assert spent(before, books((FIRST, 0, 0, 0), (KERNEL, FIRST, 100, 45 + 63))) == 3 + 5


def test_a_child_that_nobody_waits_for_keeps_what_was_seen_of_it() -> None:
    before = books((FIRST, 0, 0, 0), (KERNEL, FIRST, 100, 0), (CHILD, KERNEL, 40, 0))
    assert spent(before, books((FIRST, 0, 0, 0), (KERNEL, FIRST, 110, 0))) == 10


def test_a_number_that_is_used_again_is_another_process() -> None:
    before = books((FIRST, 0, 0, 0), (KERNEL, FIRST, 100, 0))
    now = {**books((FIRST, 0, 0, 100)), (KERNEL, 6): Process((KERNEL, 6), FIRST, 8, 0, 1)}
    assert spent(before, now) == 8


def burn(seconds: float) -> None:
    start = time.process_time()
    while time.process_time() - start < seconds:
        pass


def test_a_span_begins_with_the_first_look_after_it() -> None:
    books = Usage()
    me = [os.getpid()]
    burn(0.3)
    span = Span(books)
    assert span.cpu_s() == 0.0
    books.look(me)  # what was used before the span is in this one
    assert span.cpu_s() == 0.0
    burn(0.3)
    later = Span(books)  # nobody asks it before its first look
    books.look(me)
    burn(0.3)
    books.look(me)
    assert 0.58 < span.cpu_s() < 0.9
    assert 0.28 < later.cpu_s() < 0.5


BURN = """
def burn(seconds):
    import time
    start = time.process_time()
    while time.process_time() - start < seconds: pass
"""
SHORT = """
import os
for n in range(60):
    child = os.fork()
    if child == 0:
        burn(0.02); os._exit(0)
    os.waitpid(child, 0)
"""
ORPHANS = """
import os, time
for n in range(20):
    child = os.fork()
    if child == 0:
        if os.fork() == 0: burn(0.06)
        os._exit(0)
    os.waitpid(child, 0)
time.sleep(0.1)
"""
TOGETHER = """
import os
for n in range(4):
    if os.fork() == 0:
        burn(0.3); os._exit(0)
for n in range(4): os.wait()
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "seconds"),
    [
        ("burn(1.2)", 1.2),
        ("import time; time.sleep(1.2)", 0.0),
        (SHORT, 1.2),
        (ORPHANS, 1.2),
        (TOGETHER, 1.2),
    ],
    ids=["alone", "asleep", "short-lived", "orphans", "four together"],
)
def test_processor_time_is_that_of_all_processes_however_short_they_live(source: str, seconds: float) -> None:
    share = new_share()
    script = share / "script.py"
    script.write_text(f"{BURN}{source}\nopen('{share}/done', 'w').close()\nimport time; time.sleep(60)")
    boxed = Boxed("bubblewrap", Box(share), str(script))
    try:
        assert sandbox.wait_until(lambda: (share / "done").exists(), 60)
        # Orphans go on for a while; in the end there is number 1, and the interpreter.
        number = boxed.usage.last.number
        assert sandbox.wait_until(
            lambda: boxed.usage.last.number > number + 1 and boxed.usage.last.tasks <= 2, 30
        )
        # An interpreter's start, and what forks cost, come on top.
        assert seconds * 0.95 <= boxed.usage.last.cpu_s <= seconds * 1.2 + 0.5
        # Looked at again, the same books say the same.
        before, started = boxed.usage.last.cpu_s, time.monotonic()
        assert sandbox.wait_until(lambda: time.monotonic() - started > 0.3, 2)
        assert boxed.usage.last.cpu_s - before < 0.1
    finally:
        boxed.kill()
        script.unlink()
        Path(share / "done").unlink(missing_ok=True)
        share.rmdir()


def test_a_process_is_read_by_its_number() -> None:
    me = usage._read(os.getpid())
    assert me is not None
    assert me.parent == os.getppid()
    assert me.threads >= 1
    assert usage._read(2**22 + 1) is None
