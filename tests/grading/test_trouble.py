"""A full disk, a closed folder, a gradebook in use: one sentence, nothing lost, and it goes on afterwards.

The disk is a real one, of a few megabytes (tests/fixtures/small_disk.py), so the kernel itself says no.
"""

import contextlib
import dataclasses
import errno
import fcntl
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from grading import collect, flow, gradebook, lock, record, release, trouble
from grading.errors import GradingError, MachineTrouble
from grading.layout import Layout
from grading.store import Store, sweep, write_whole
from grading.weeks import Week
from tests.fixtures import course_tree, small_disk

ROOT = Path(__file__).parent.parent.parent
ROOMS_KB = (0, 16, 96)


def on_small_disk(disk: Path, size: str, script: str, *arguments: str) -> Any:
    """Run a script of this file's in a world where `disk` is small, or read-only; what it printed as JSON."""
    command = [sys.executable, "-m", "tests.fixtures.small_disk", str(disk), size]
    command += [sys.executable, "-c", f"from tests.grading.test_trouble import *\n{script}", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def course_command(course: Path, *arguments: object) -> tuple[int, str, str]:
    """`course …` as a process: its exit code, its last line, and whether a traceback was shown."""
    command = [sys.executable, "-m", "grading", *map(str, arguments)]
    environment = {**os.environ, "COURSE_ROOT": str(course)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    return done.returncode, lines[-1] if lines else "", done.stderr if "Traceback" in done.stderr else ""


def leave_room(disk: Path, kilobytes: int) -> None:
    small_disk.fill(disk)
    ballast = disk / small_disk.BALLAST
    os.truncate(ballast, max(0, ballast.stat().st_size - (kilobytes << 10)))


def judged(layout: Layout, week: Week, raw: bytes) -> None:
    """A verdict as `course grade` would have stored it, made without a kernel."""
    Store(layout.verdicts).put(dataclasses.replace(course_tree.verdict(week, raw), sandbox="bubblewrap"))


def through_a_full_disk(place: Path, disk: Path) -> None:
    """Every command, with ever more room, until it succeeds; what each said is printed."""
    course, week = course_tree.make(place / "course")
    layout = Layout(course.root, disk, disk / "notebooks")
    inbox = place / "inbox"
    inbox.mkdir()
    right = course_tree.as_file(course_tree.submission(week))
    wrong = course_tree.as_file(course_tree.submission(week, {"masked_mean": "masked_mean = 3"}))
    for name, raw in (("ann", right), ("ben", wrong)):
        (inbox / f"{name}.ipynb").write_bytes(raw)
    said: dict[str, list[tuple[int, str, str]]] = {}
    damage: list[str] = []

    def until_it_works(*command: object) -> None:
        ended = said.setdefault(str(command[0]), [])
        for room in (*ROOMS_KB, None):
            if room is None:
                small_disk.make_room(disk)
            else:
                leave_room(disk, room)
            ended.append(course_command(course.root, "--scratch", disk, *command))
            damage.extend(half_written(layout))
            if ended[-1][0] == 0:
                break
        small_disk.make_room(disk)

    layout.build.mkdir()
    layout.var.mkdir()
    until_it_works("collect", inbox, "--week", "90")
    for raw in (right, wrong):
        judged(layout, week, raw)
    until_it_works("grade", "--week", "90")
    held = {name: one.auto for name, one in gradebook.held(layout, week).items()}
    for page in layout.feedback.rglob("*.html"):
        page.unlink()
    until_it_works("feedback", "--week", "90")
    until_it_works("export", "--week", "90")
    pages = sorted(path.parent.name for path in layout.feedback.rglob("*.html"))
    left = [str(path) for path in disk.rglob(".*.part")]
    receipts = {name: len(all_of) for name, all_of in collect.receipts(layout, week).items()}
    table = (layout.reports / f"{week.id}.csv").read_text().splitlines()
    kept = {"held": held, "pages": pages, "left": left, "receipts": receipts, "rows": len(table)}
    print(json.dumps({"said": said, "damage": damage, **kept}))


def half_written(layout: Layout) -> list[str]:
    found = []
    for path in [*layout.var.rglob("*.json"), *layout.notebooks.rglob("*.ipynb")]:
        try:
            json.loads(path.read_text())
        except ValueError:
            found.append(str(path))
    found += [str(path) for path in layout.feedback.rglob("*.html") if "</html>" not in path.read_text()]
    if layout.gradebook.exists():
        with contextlib.closing(sqlite3.connect(layout.gradebook)) as book:
            found += [row[0] for row in book.execute("PRAGMA integrity_check") if row[0] != "ok"]
    return found


@pytest.mark.slow
@pytest.mark.e2e
def test_a_full_disk_ends_every_command_with_one_sentence_and_loses_nothing(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    script = "through_a_full_disk(Path(sys.argv[1]), Path(sys.argv[2]))"
    found = on_small_disk(disk, "24", script, str(tmp_path), str(disk))
    assert found["damage"] == []
    for command, ended in found["said"].items():
        assert ended[-1][0] == 0, (command, ended)
        assert len(ended) > 1, f"course {command} needs no room at all?"
        for code, last, traced in ended[:-1]:
            assert traced == "", command
            assert code == 2, (command, last)
            assert last.startswith("course: "), command
            assert "o space left on" in last, (command, last)
            assert "make room there" in last
            assert "run the same command again" in last
    assert found["held"] == {
        "ann": {"blend": 4.0, "masked_mean": 2.0},
        "ben": {"blend": 4.0, "masked_mean": 0.0},
    }
    assert found["pages"] == ["ann", "ben"]
    assert found["receipts"] == {"ann": 1, "ben": 1}
    assert found["rows"] == 3
    assert found["left"] == []


def in_a_read_only_course(place: Path) -> None:
    course, week = Layout(place / "course"), "90"
    inbox, scratch = place / "inbox", place / "scratch"
    said = [
        course_command(course.root, "grade", inbox, "--week", week),
        course_command(course.root, "--scratch", scratch, "collect", inbox, "--week", week),
        course_command(course.root, "--scratch", scratch, "release", "--week", week),
    ]
    print(json.dumps(said))


@pytest.mark.slow
@pytest.mark.e2e
def test_a_read_only_course_says_scratch_and_works_with_it(tmp_path: Path) -> None:
    layout, week = course_tree.make(tmp_path / "course")
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "ann.ipynb").write_bytes(course_tree.as_file(course_tree.submission(week)))
    script = "in_a_read_only_course(Path(sys.argv[1]))"
    refused, *with_scratch = on_small_disk(layout.root, "read-only", script, str(tmp_path))
    assert refused[0] == 2
    assert "cannot be written to; name a folder of your own with --scratch" in refused[1]
    assert [ended[0] for ended in with_scratch] == [0, 0]
    assert [ended[2] for ended in (refused, *with_scratch)] == ["", "", ""]


def home_that_is_closed(place: Path, home: Path) -> None:
    os.environ["HOME"] = str(home)
    assert not os.access(home, os.W_OK)
    said = [course_command(place / "course", "grade", place / "inbox", "--week", "90", "--workers", "1")]
    print(json.dumps([said, sorted(path.name for path in home.iterdir())]))


@pytest.mark.slow
@pytest.mark.e2e
def test_grading_needs_nothing_in_a_home(tmp_path: Path) -> None:
    _, week = course_tree.make(tmp_path / "course")
    (tmp_path / "inbox").mkdir()
    (tmp_path / "home").mkdir()
    (tmp_path / "inbox" / "ann.ipynb").write_bytes(course_tree.as_file(course_tree.submission(week)))
    script = "home_that_is_closed(Path(sys.argv[1]), Path(sys.argv[2]))"
    home = tmp_path / "home"
    (ended,), inside = on_small_disk(home, "read-only", script, str(tmp_path), str(home))
    assert ended[0] == 0, ended
    assert ended[2] == ""
    assert inside == []


# -- a gradebook that another program holds ------------------------------------------------------------------


@pytest.fixture
def course(tmp_path: Path) -> tuple[Layout, Week]:
    layout, week = course_tree.make(tmp_path / "course")
    release.release(layout, week)
    release.register(layout, week)
    return layout, week


@pytest.mark.slow
def test_a_gradebook_in_use_ends_recording_with_a_sentence_and_goes_on(
    course: tuple[Layout, Week], caplog: pytest.LogCaptureFixture
) -> None:
    layout, week = course
    raw = course_tree.as_file(course_tree.submission(week))
    for student in ("ann", "ben"):
        course_tree.hand_in(layout, week, student, raw)
    given = dict.fromkeys(("ann", "ben"), course_tree.verdict(week, raw))
    done: list[record.Recorded] = []
    with contextlib.closing(sqlite3.connect(layout.gradebook, isolation_level=None)) as formgrader:
        formgrader.execute("BEGIN IMMEDIATE")  # it reads on, and nobody else may write
        with pytest.raises(MachineTrouble, match=r"gradebook\.db: another program is writing to it"):
            record.record(layout, week, given, done.append)
        assert done == [], "no submission is blamed for it"
        assert [one for one in caplog.records if one.exc_info] == [], "and no traceback is shown"
        formgrader.execute("COMMIT")
        formgrader.execute("BEGIN EXCLUSIVE")  # and now nobody else may read
        with pytest.raises(MachineTrouble, match="let that one finish"):
            gradebook.held(layout, week)
        with pytest.raises(MachineTrouble, match="let that one finish"):
            release.register(layout, week)
        formgrader.execute("COMMIT")
    assert [one.problem for one in record.record(layout, week, given)] == ["", ""]
    assert {name: one.total for name, one in gradebook.held(layout, week).items()} == {"ann": 6.0, "ben": 6.0}


def test_a_learners_words_are_no_trouble_of_the_machines() -> None:
    assert trouble.of(ValueError("No space left on device: database is locked")) is None
    assert trouble.of(OSError("database or disk is full")) is None
    assert trouble.of(FileNotFoundError(errno.ENOENT, "no", "x")) is None


def test_trouble_is_found_behind_what_it_became() -> None:
    became, said_already = RuntimeError("something failed"), RuntimeError("said in full already")
    became.__context__ = OSError(errno.ENOSPC, "No space left on device", "/there/file")
    assert str(trouble.of(became)).startswith("/there/file: No space left on device; make room there")
    said_already.__context__, said_already.__suppress_context__ = (
        became.__context__,
        True,
    )  # raise … from None
    assert trouble.of(said_already) is None


def test_a_folder_that_did_not_fit_is_trouble_too(tmp_path: Path) -> None:
    """A soak found it: copytree tells no number, and a full disk was called a fault of the course."""
    (tmp_path / "from").mkdir()
    for name in ("a", "b"):
        (tmp_path / "from" / name).write_text("words")

    def full(source: str, target: str) -> str:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), target)

    with pytest.raises(shutil.Error) as caught:
        shutil.copytree(tmp_path / "from", tmp_path / "to", copy_function=full)
    found = trouble.of(caught.value)
    assert str(found).startswith(f"{tmp_path}/to/")
    assert "No space left on device; make room there" in str(found)
    assert trouble.of(shutil.Error("something else")) is None


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.EDQUOT, errno.EMFILE])
def test_every_trouble_of_the_system_names_the_file_and_what_to_do(number: int) -> None:
    sentence = str(trouble.of(OSError(number, os.strerror(number), "/there")))
    assert sentence.startswith(f"/there: {os.strerror(number)}; ")
    assert "run the same command again" in sentence


# -- two graders, and what killed ones leave -----------------------------------------------------------------

HOLD = """
import sys, time
from pathlib import Path
from grading.layout import Layout
from grading.lock import locked
with locked(Layout(Path(sys.argv[1])), print):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_killed_graders_lock_holds_nobody_up(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    assert lock.holder(layout) == ""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        assert lock.holder(layout).startswith(f"process {other.pid}, since ")
        said: list[str] = []
        with pytest.raises(GradingError, match=f"process {other.pid}, since .* is still grading"):
            with lock.locked(layout, said.append, wait_s=0.3):
                pass
        with lock.locked(layout, said.append, what="collecting"):
            pass  # submissions come in while others are graded
        other.send_signal(signal.SIGKILL)
    assert f"process {other.pid}" in (layout.var / "grading.lock").read_text(), "its name is still there"
    assert lock.holder(layout) == ""
    started = time.monotonic()
    with lock.locked(layout, said.append, wait_s=30):
        assert time.monotonic() - started < 2
        assert lock.holder(layout).startswith(f"process {os.getpid()},")
    assert len(said) == 1


def test_a_place_without_locks_is_no_other_grader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", none)
    with pytest.raises(MachineTrouble, match=r"cannot be locked .* on a local disk with --scratch"):
        with lock.locked(Layout(tmp_path), print):
            pass


def test_what_killed_writers_left_is_swept_and_what_living_ones_write_is_not(tmp_path: Path) -> None:
    write_whole(tmp_path / "a" / "kept.json", b"{}")
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True)
    mine, theirs = tmp_path / f".{os.getpid()}-x.part", tmp_path / "a" / f".{int(ended.stdout)}-x.part"
    folder = tmp_path / f".{int(ended.stdout)}-y.part"
    (folder / "inside").mkdir(parents=True)
    mine.touch()
    theirs.touch()
    sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("*")) == sorted(["a", "kept.json", mine.name])


def test_a_write_without_room_names_the_file_that_it_was_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space") as raised:
        write_whole(tmp_path / "verdict.json", b"{}")
    assert raised.value.filename == str(tmp_path / "verdict.json")


def test_the_conductor_sweeps_before_it_grades(course: tuple[Layout, Week]) -> None:
    layout, week = course
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True)
    left = layout.verdicts / week.id / "ab" / f".{int(ended.stdout)}-x.part"
    left.parent.mkdir(parents=True)
    left.touch()
    with pytest.raises(GradingError, match="no submission for"):
        flow.grade(layout, week)
    assert not left.exists()
