"""`make soak`: a class graded while what grades it is killed, again and again, and while the disk is full.

`course grade` runs as an instructor runs it, from the submissions to the feedback pages, and the same command
is run again until it is done. This process kills, at random moments, the grader (while it judges, and while
it records), a worker, a warm parent or a kernel. build/ and var/ lie on a small disk, which it fills to the
last byte and frees again. A thread reads every verdict the moment it is there.

    lost      a submission without the verdict, the marks in the gradebook, the receipt or the page that it
              deserves; and whatever else was not as promised: a file that was ever seen half-written, a
              gradebook that is not whole, a command that ended by itself without one clear sentence
    doubled   judged twice with different results, or other than it is judged in peace
"""

import argparse
import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import psutil

from grading import collect, editions, evaluation, gradebook
from grading.layout import Layout
from grading.records import Verdict
from tests.fixtures import blending, course_tree, small_disk

SECRET = b"a soak's secret, of 32 bytes....".ljust(32, b".")
WRONG_MEAN = "def masked_mean(values, keep):\n    return values.mean(dim=1)"
WEEK = "90"
BATCH = 50  # handed in, graded to the end, and then the next: judging and recording take turns
IN_PEACE = 24  # submissions that are judged once more at the end, undisturbed, and compared byte for byte
DISK_MB = 32
DISK_MB_EACH = 0.25  # measured: .1 MB a submission
FULL_S = (0.2, 2.0, 20.0)  # a moment, or until the grader has met it
FIRST_WORD = "course: "


def submissions(count: int) -> dict[str, bytes]:
    """A class, every third of it half wrong, by name."""
    wrong = [WRONG_MEAN if cell == blending.MASKED_MEAN else cell for cell in blending.SOLUTION]
    kinds = (blending.SOLUTION, wrong, blending.SOLUTION)
    names = [f"learner{number:04d}" for number in range(count)]
    return {name: blending.notebook(*kinds[n % 3], f"# {name}") for n, name in enumerate(names)}


def without_timings(text: str) -> str:
    data = json.loads(Verdict.from_json(text).to_json())
    data.pop("timings")
    return json.dumps(data, sort_keys=True)


class Reader(threading.Thread):
    """Reads each verdict and receipt as soon as it has its name, and remembers what could not be read."""

    def __init__(self, *roots: Path) -> None:
        super().__init__(daemon=True)
        self.roots = roots
        self.read = 0
        self.torn: dict[str, str] = {}
        self.over = threading.Event()
        self._folders: dict[str, int] = {}
        self._files: dict[str, tuple[int, int, int]] = {}

    def run(self) -> None:
        while not self.over.wait(0.002):
            for root in self.roots:
                self.look(root)

    def look(self, folder: Path) -> None:
        """One pass. A folder in which no name changed is not listed again."""
        try:
            stamp = os.stat(folder).st_mtime_ns
            below = [entry for entry in os.scandir(folder) if entry.is_dir()] if self._deep(folder) else []
            for entry in below:
                self.look(Path(entry.path))
            if self._folders.get(str(folder)) == stamp:
                return
            self._folders[str(folder)] = stamp
            for one in os.scandir(folder):
                if one.name.endswith(".json"):
                    self._read(Path(one.path))
        except FileNotFoundError:
            return

    def _deep(self, folder: Path) -> bool:
        return any(folder == root or folder.parent == root for root in self.roots)

    def _read(self, path: Path) -> None:
        with contextlib.suppress(FileNotFoundError):
            found = os.stat(path)
            state = (found.st_ino, found.st_mtime_ns, found.st_size)
            if self._files.get(str(path)) == state:
                return
            self._files[str(path)] = state
            text = path.read_text(encoding="utf-8", errors="replace")
            self.read += 1
            try:
                whole = Verdict.from_json(text) if "verdicts" in path.parts else json.loads(text)
                assert whole
            except Exception as problem:
                self.torn[str(path)] = f"{type(problem).__name__}, {len(text)} characters"


class Soak:
    """One class, one small disk, and what became of them.

    Args:
        place: a folder on a disk with room; `place`/disk is the small one.
    """

    def __init__(self, place: Path, count: int, kills: int, seed: int, say: bool) -> None:
        self.place, self.count, self.kills, self.speak = place, count, kills, say
        self.random = random.Random(seed)
        self.course, self.week = course_tree.make(place / "course")
        self.disk = place / "disk"
        self.layout = Layout(self.course.root, self.disk, self.disk / "notebooks")
        self.inbox = place / "inbox"
        self.inbox.mkdir()
        self.layout.var.mkdir()
        self.layout.secret.write_bytes(SECRET)
        self.layout.secret.chmod(0o600)
        self.notebooks = submissions(count)
        self.killed: Counter[str] = Counter()
        self.fills = self.runs = self.stopped_by_disk = 0
        self.seen: dict[str, str] = {}  # by the notebook's hash: its verdict, timings apart
        self.doubled: set[str] = set()
        self.broken: list[str] = []

    # -- disturbing ------------------------------------------------------------------------------------------

    def start(self) -> "subprocess.Popen[bytes]":
        self.runs += 1
        command = [sys.executable, "-m", "grading", "--scratch", str(self.disk)]
        command += ["grade", str(self.inbox), "--week", WEEK, "--workers", "2"]
        environment = {**os.environ, "COURSE_ROOT": str(self.course.root)}
        with (self.place / "said").open("wb") as said:
            return subprocess.Popen(
                command, stdout=said, stderr=said, stdin=subprocess.DEVNULL, env=environment
            )

    def disturb(self, grader: "subprocess.Popen[bytes]") -> None:
        """One bad moment: now at the start, now in the middle; a parent needs some seconds to be warm."""
        kinds = (
            "grader",
            "worker",
            "warm parent",
            "kernel",
            "kernel",
            "recording",
            "recording",
            "disk",
            "disk",
        )
        kind = self.random.choice(kinds) if self.fills else "disk"  # however short the soak, once at least
        if kind in ("recording", "disk") and self.random.random() < 0.6:
            # What is written into the gradebook is written late: wait until the next mark is in it.
            before = self.recorded()
            self.wait(grader, 20, lambda: self.recorded() > before)
            time.sleep(0.5 * self.random.random())
        else:
            time.sleep(self.random.choice((0.2, 1.0, 4.0, 8.0)) * self.random.random())
        if kind == "disk":
            small_disk.fill(self.disk)
            self.fills += 1
            end = time.monotonic() + self.random.choice(FULL_S)
            while time.monotonic() < end and grader.poll() is None:
                small_disk.fill(self.disk)  # whoever tidied up has made room
                time.sleep(0.02)
            small_disk.make_room(self.disk)
            return
        found: list[int] = []
        wanted = "grader" if kind == "recording" else kind
        self.wait(grader, 5, lambda: bool(found.extend(running(grader.pid).get(wanted, [])) or found))
        if found and grader.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.random.choice(found), signal.SIGKILL)
                self.killed["grader, recording" if kind == "recording" else kind] += 1

    def wait(self, grader: "subprocess.Popen[bytes]", seconds: float, holds) -> None:  # type: ignore[no-untyped-def]
        end = time.monotonic() + seconds
        while grader.poll() is None and time.monotonic() < end and not holds():
            time.sleep(0.02)

    def recorded(self) -> int:
        return sum(1 for _ in self.layout.autograded.glob("*/*/verdict.sha256"))

    def grade(self, until: int) -> None:
        """Run the command until it is done, and meanwhile bring the number of kills up to `until`."""
        in_peace = 0
        while in_peace < 3 and not self.broken:  # three times in peace and still not done: then it is lost
            grader = self.start()
            in_peace += self.killed.total() >= until
            while grader.poll() is None:
                if self.killed.total() >= until:
                    grader.wait()
                else:
                    self.disturb(grader)
            self.look(grader.returncode)
            if self.speak:
                print(
                    f"{len(self.seen)} of {self.count} judged, {self.recorded()} recorded, "
                    f"killed {dict(self.killed)}, disk full {self.fills} times",
                    flush=True,
                )
            if grader.returncode == 0:
                return

    def run(self) -> None:
        reader = Reader(self.layout.verdicts, self.layout.var / "receipts")
        reader.start()
        names = list(self.notebooks)
        size = min(BATCH, max(len(names) // 3, 1))
        batches = [names[at : at + size] for at in range(0, len(names), size)]
        for number, batch in enumerate(batches, start=1):
            for name in batch:
                (self.inbox / f"{name}.ipynb").write_bytes(self.notebooks[name])
            self.grade(self.kills * number // len(batches))
            if self.broken:
                break  # a promise that is broken stays broken, and the rest would hide it
        while self.killed.total() < self.kills and not self.broken:
            # Done before all was killed that should be: build/ can be thrown away, so it is, and made again.
            shutil.rmtree(self.layout.build)
            self.grade(self.kills)
        reader.over.set()
        reader.join()
        self.broken += [f"seen half-written: {path} ({why})" for path, why in reader.torn.items()]
        if reader.read < self.count:
            self.broken.append(f"the reader saw {reader.read} files of {self.count} submissions")

    # -- looking ---------------------------------------------------------------------------------------------

    def look(self, code: int) -> None:
        """After every run, however it ended."""
        said = (self.place / "said").read_text(errors="replace").splitlines()
        if code >= 0:
            last = next((line for line in reversed(said) if line.strip()), "")
            clear = code == 0 or last.startswith(FIRST_WORD)
            traced = [line for line in said if line.startswith("Traceback")]
            self.stopped_by_disk += "No space left" in last or "no space left" in last
            if traced or not clear:
                self.broken.append(f"run {self.runs} ended with {code} and said {said[-3:]}")
        for path in self.layout.verdicts.glob("*/*/*.json"):
            try:
                text = without_timings(path.read_text(encoding="utf-8"))
            except Exception as problem:
                self.broken.append(f"run {self.runs} left half a verdict: {path.name} ({problem})")
                continue
            key = json.loads(text)["submission"]
            if self.seen.setdefault(key, text) != text:
                self.doubled.add(key)
        self.broken += [f"run {self.runs}: {line}" for line in self.gradebook_damage()]

    def gradebook_damage(self) -> list[str]:
        """What sqlite finds wrong with a copy: with its journal, as the next program will find it."""
        if not self.layout.gradebook.exists():
            return []
        with tempfile.TemporaryDirectory(dir=self.place) as folder:
            for path in self.layout.var.glob("gradebook.db*"):
                shutil.copy(path, folder)
            with contextlib.closing(sqlite3.connect(Path(folder) / "gradebook.db")) as book:
                try:
                    found = [str(row[0]) for row in book.execute("PRAGMA integrity_check")]
                    found += [str(row) for row in book.execute("PRAGMA foreign_key_check")]
                except sqlite3.Error as problem:
                    found = [str(problem)]
        return [line for line in found if line != "ok"]

    def lost(self) -> set[str]:
        """Everybody who has not all of what they deserve, each with a line that says what is missing."""
        marks = self.marks()
        held = gradebook.held(self.layout, self.week)
        receipts = collect.receipts(self.layout, self.week)
        missing: dict[str, str] = {}
        for number, (name, raw) in enumerate(self.notebooks.items()):
            digest = hashlib.sha256(raw).hexdigest()
            deserved = marks[number % 3 == 1]
            verdict = Verdict.from_json(text) if (text := self.seen_with_timings(digest)) else None
            given = {one.id: one.score for one in verdict.exercises} if verdict else None
            page = self.layout.feedback / name / f"{self.week.id}.html"
            if given != deserved:
                missing[name] = f"the verdict gives {given}"
            elif name not in held or held[name].auto != deserved:
                missing[name] = f"the gradebook holds {held.get(name)}"
            elif abs(held[name].total - sum(deserved.values())) > 1e-6:
                missing[name] = f"the gradebook's total is {held[name].total}"
            elif [one.sha256 for one in receipts.get(name, [])] != [digest]:
                missing[name] = f"the receipts say {receipts.get(name)}"
            elif not page.is_file() or not page.read_text().rstrip().endswith("</html>"):
                missing[name] = "there is no whole feedback page"
        for name in set(held) - set(self.notebooks):
            missing[name] = "is in the gradebook and in no class"
        for name, why in missing.items():
            self.broken.append(f"{name}: {why}")
        return set(missing)

    def marks(self) -> dict[bool, dict[str, float]]:
        """What each kind of submission deserves, judged in peace: True is the half wrong one."""
        found = {}
        for number in (0, 1):
            raw = list(self.notebooks.values())[number]
            verdict = evaluation.evaluate(raw, self.week, self.edition(), seed=1)
            found[number == 1] = {one.id: one.score for one in verdict.exercises}
        assert sum(found[False].values()) > sum(found[True].values()) > 0
        return found

    def seen_with_timings(self, digest: str) -> str:
        text = self.seen.get(digest, "")
        return json.dumps({**json.loads(text), "timings": {}}) if text else ""

    def edition(self) -> Path:
        return editions.ensure(self.layout, self.week)

    def judge_in_peace(self) -> None:
        """The same submission and the same seed: the same bytes as under fire."""
        names = sorted(self.notebooks)
        for name in self.random.sample(names, min(IN_PEACE, len(names))):
            raw = self.notebooks[name]
            digest = hashlib.sha256(raw).hexdigest()
            seed = evaluation.seed_for(SECRET, digest, self.week.suite)
            verdict = evaluation.evaluate(raw, self.week, self.edition(), seed=seed, warm=True)
            if digest in self.seen and self.seen[digest] != without_timings(verdict.to_json()):
                self.doubled.add(digest)
                self.broken.append(f"{name}: judged otherwise in peace")

    def left_behind(self) -> list[str]:
        found = [path.name for path in Path("/tmp").glob("see-*") if not _owned(path)]
        return found + [str(path) for path in self.disk.rglob(".*.part")]


def running(grader: int) -> dict[str, list[int]]:
    """What could be killed now, by kind."""
    kinds: dict[str, list[int]] = {"grader": [grader]}
    with contextlib.suppress(psutil.Error):
        for process in psutil.Process(grader).children(recursive=True):
            with contextlib.suppress(psutil.Error, OSError, StopIteration):
                line = " ".join(process.cmdline())
                if "grading.workers" in line:
                    kinds.setdefault("worker", []).append(process.pid)
                elif "grading.warm" in line:
                    # A fork has a number in one process namespace more than its parent.
                    inside = Path(f"/proc/{process.pid}/status").read_text()
                    depth = next(row for row in inside.splitlines() if row.startswith("NSpid")).count("\t")
                    kinds.setdefault("kernel" if depth > 2 else "warm parent", []).append(process.pid)
    return kinds


def _owned(folder: Path) -> bool:
    owner = folder.name.removeprefix("see-").split("-")[0]
    return owner.isdigit() and psutil.pid_exists(int(owner))


def soak(place: Path, count: int, kills: int, seed: int, say: bool = True) -> tuple[int, int, int]:
    """Returns how many were killed, lost and doubled; `place` has the small disk already."""
    one = Soak(place, count, kills, seed, say)
    one.run()
    lost = len(one.lost()) or len(one.broken)
    one.judge_in_peace()
    left = one.left_behind()
    if left:
        one.broken.append(f"left behind when all was done: {left[:5]}")
    if say:
        used = sum(path.stat().st_blocks * 512 for path in one.disk.rglob("*") if path.is_file()) / 2**20
        print(
            f"{one.runs} runs, {one.stopped_by_disk} ended by a full disk, which was full {one.fills} times; "
            f"{used:.1f} MB kept"
        )
    for line in one.broken:
        print(line)
    return one.killed.total(), max(lost, len(one.broken) - len(one.doubled)), len(one.doubled)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make soak")
    parser.add_argument("--submissions", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--in", dest="place", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.place is None:
        # Once more, with the small disk, and with a /tmp of its own: what is left there is left by this soak.
        with tempfile.TemporaryDirectory(prefix="soak-", dir="/var/tmp") as name:
            os.chmod(name, 0o755)
            disk = Path(name, "disk")
            disk.mkdir()
            size = DISK_MB + DISK_MB_EACH * given.submissions
            on_disk = [sys.executable, "-m", "tests.fixtures.small_disk"]
            command = [*on_disk, "/tmp", "1000", *on_disk, str(disk), str(size)]
            command += [sys.executable, "-m", "tests.soak", *sys.argv[1:], "--in", name]
            return subprocess.run(command).returncode
    killed, lost, doubled = soak(given.place, given.submissions, given.kills, given.seed)
    print(f"{given.submissions} submissions, {killed} kills, {lost} lost, {doubled} doubled")
    return 1 if lost or doubled or killed < given.kills else 0


if __name__ == "__main__":
    sys.exit(main())
