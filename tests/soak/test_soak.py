"""A short soak: `make soak` is the long one."""

import contextlib
import dataclasses
import json
import re
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from grading import collect, flow, record, release
from grading.store import Store, write_whole
from tests.fixtures import course_tree
from tests.soak.__main__ import Reader, Soak

pytestmark = [pytest.mark.slow, pytest.mark.e2e]

ROOT = Path(__file__).parent.parent.parent


def test_a_class_graded_under_fire_and_on_a_full_disk_loses_nothing() -> None:
    command = [sys.executable, "-m", "tests.soak", "--submissions", "9", "--kills", "3", "--seed", "4"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    said = done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "9 submissions, 3 kills, 0 lost, 0 doubled", said
    assert done.returncode == 0, said
    full = re.search(r"which was full (\d+) times", done.stdout)
    assert full is not None
    assert int(full[1]) >= 1, said


@pytest.fixture
def done(tmp_path: Path) -> Soak:
    """A soak of three as it is when all went well, without a kernel."""
    (tmp_path / "disk").mkdir()
    one = Soak(tmp_path, count=3, kills=0, seed=1, say=False)
    layout, week = one.layout, one.week
    release.release(layout, week)
    release.register(layout, week)
    for name, raw in one.notebooks.items():
        (one.inbox / f"{name}.ipynb").write_bytes(raw)
    collect.collect(layout, week, one.inbox)
    given = {
        name: dataclasses.replace(course_tree.verdict(week, raw), sandbox="bubblewrap")
        for name, raw in one.notebooks.items()
    }
    for verdict in given.values():
        Store(layout.verdicts).put(verdict)
    assert [ended.problem for ended in record.record(layout, week, given)] == ["", "", ""]
    flow.answer(layout, week, given, lambda *_: None)
    (tmp_path / "said").write_text("3 of 3 recorded.\n")
    right, wrong, _ = ({ended.id: ended.score for ended in verdict.exercises} for verdict in given.values())
    one.marks = lambda: {False: right, True: wrong}  # type: ignore[method-assign]
    return one


def noticed(one: Soak, code: int = 0) -> str:
    """What the soak finds wrong with this state."""
    one.look(code)
    one.lost()
    return "; ".join(one.broken)


def test_a_soak_in_which_all_went_well_finds_nothing(done: Soak) -> None:
    assert noticed(done) == ""
    assert done.doubled == set()
    assert [name for name in done.left_behind() if name.endswith(".part")] == []
    (done.layout.var / ".99-x.part").touch()
    assert [name for name in done.left_behind() if name.endswith(".part")] != []


def test_each_broken_promise_is_noticed_by_the_soak(done: Soak) -> None:
    layout, week = done.layout, done.week
    with contextlib.closing(sqlite3.connect(layout.gradebook)) as book:
        book.execute("UPDATE grade SET auto_score = 1.25 WHERE auto_score = 4.0")
        book.commit()
    assert "learner0000: the gradebook holds" in noticed(done)

    done.broken.clear()
    with contextlib.closing(sqlite3.connect(layout.gradebook)) as book:
        book.execute("UPDATE grade SET auto_score = 4.0 WHERE auto_score = 1.25")
        book.commit()
    assert noticed(done) == ""
    (layout.var / "receipts" / week.id / "learner0001.json").write_text("[]")
    (layout.feedback / "learner0002" / f"{week.id}.html").write_text("<html>")
    verdict = next(layout.verdicts.glob("*/*/*.json"))
    whole = verdict.read_text()
    verdict.write_text(json.dumps({**json.loads(whole), "score": 0.5}))
    found = noticed(done)
    assert len(done.doubled) == 1, "the same submission, judged twice with different results"
    assert "learner0001" in found
    assert "learner0002" in found

    done.broken.clear()
    verdict.write_text(whole[:-20])
    assert "left half a verdict" in noticed(done)
    verdict.unlink()
    done.seen = {}
    assert "the verdict gives None" in noticed(done)

    done.broken.clear()
    raw = bytearray(layout.gradebook.read_bytes())
    raw[4096:8192] = bytes(4096)
    (layout.var / "gradebook.db").write_bytes(raw)
    assert done.gradebook_damage() != []


@pytest.mark.parametrize("last", ["Traceback (most recent call last):", "it went wrong", ""])
def test_a_run_that_ends_without_one_clear_sentence_is_noticed(done: Soak, last: str) -> None:
    said = done.place / "said"
    said.write_text(f"judged: 1 of 3\n{last}\n")
    done.look(2)
    assert len(done.broken) == 1
    done.broken.clear()
    said.write_text("judged: 1 of 3\ncourse: /disk/var/x: No space left on device; make room there.\n")
    done.look(2)
    assert done.broken == []
    assert done.stopped_by_disk == 1


def test_the_reader_sees_a_file_that_is_written_under_its_own_name(done: Soak) -> None:
    reader = Reader(done.layout.verdicts)
    path = next(done.layout.verdicts.glob("*/*/*.json"))
    text = path.read_text()
    reader.start()
    end = time.monotonic() + 20
    while not reader.torn and time.monotonic() < end:
        path.unlink()
        with path.open("w") as file:  # what write_whole does not do
            file.write(text[:100])
            file.flush()
            time.sleep(0.01)
            file.write(text[100:])
    assert list(reader.torn) == [str(path)]
    atomic = Reader(done.layout.verdicts)
    atomic.start()
    for _ in range(300):
        path.unlink()
        write_whole(path, text.encode())
    reader.over.set()
    atomic.over.set()
    atomic.join()
    assert atomic.read > 1
    assert atomic.torn == {}
