"""`make soak`: a class graded while everything that grades it is killed, again and again.

One process grades, as `course grade` does; this one kills, at random moments, the grader, a worker, a warm
parent or a kernel, and starts the grader again whenever it is gone. At the end every submission must have the
verdict that it deserves, and no verdict may ever have changed.

    lost      no verdict, or one that is not the submission's
    doubled   judged twice with different results
"""

import argparse
import contextlib
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import psutil

from grading import evaluation
from grading.records import Verdict
from grading.store import Store
from tests.fixtures import blending

SECRET = b"a soak's secret, of 32 bytes....".ljust(32, b".")
WRONG_MEAN = "def masked_mean(values, keep):\n    return values.mean(dim=1)"


def submissions(place: Path, count: int, edition: Path) -> dict[str, float]:
    """Write a class, every third of it half wrong; the marks by name, as they are when nobody is killed."""
    wrong = [WRONG_MEAN if cell == blending.MASKED_MEAN else cell for cell in blending.SOLUTION]
    kinds = (blending.SOLUTION, wrong, blending.SOLUTION)
    deserved = [
        evaluation.evaluate(blending.notebook(*one), blending.week(), edition, seed=1) for one in kinds[:2]
    ]
    full, part = (verdict.score for verdict in deserved)
    assert full > part > 0
    marks = {}
    for number in range(count):
        name = f"learner{number:04d}"
        (place / f"{name}.ipynb").write_bytes(blending.notebook(*kinds[number % 3], f"# {name}"))
        marks[name] = part if number % 3 == 1 else full
    return marks


def grade(place: Path) -> int:
    """The process that is killed: grade what has no verdict yet."""
    items = [evaluation.Item(path.stem, path) for path in sorted((place / "in").glob("*.ipynb"))]
    done = evaluation.evaluate_many(
        items, blending.week(), place / "edition", store=Store(place / "out"), secret=SECRET, workers=2
    )
    return 0 if all(one.verdict is not None for one in done) else 3


def verdicts(place: Path) -> dict[str, str]:
    """By submission, what the verdict files say, timings apart. A file that is half a verdict raises."""
    found = {}
    for path in (place / "out").glob("*/*/*.json"):
        data = json.loads(Verdict.from_json(path.read_text(encoding="utf-8")).to_json())
        data.pop("timings")
        found[data["submission"]] = json.dumps(data, sort_keys=True)
    return found


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


def victim(grader: "subprocess.Popen[bytes]", one: random.Random) -> tuple[str, int] | None:
    """Something to kill, of a kind chosen first and waited for: what it is, and its number."""
    kind = one.choice(("grader", "worker", "warm parent", "kernel", "kernel"))
    end = time.monotonic() + 15
    while grader.poll() is None and time.monotonic() < end:
        found = running(grader.pid).get(kind)
        if found:
            return kind, one.choice(found)
        time.sleep(0.02)
    return None


def soak(count: int, kills: int, seed: int, say: bool = True) -> tuple[int, int, int]:
    """Returns how many were killed, lost and doubled."""
    one = random.Random(seed)
    killed: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        place = Path(name)
        (place / "in").mkdir()
        os.chmod(place, 0o755)
        blending.edition(place / "edition")
        marks = submissions(place / "in", count, place / "edition")
        seen: dict[str, str] = {}
        doubled: set[str] = set()

        def look() -> None:
            for key, text in verdicts(place).items():
                if seen.setdefault(key, text) != text:
                    doubled.add(key)

        command = [sys.executable, "-m", "tests.soak", "--grade", name]
        undisturbed = 0
        while undisturbed < 3:  # three times in peace and still not done: then it is lost
            grader = subprocess.Popen(command)
            undisturbed += killed.total() >= kills
            while grader.poll() is None:
                if killed.total() >= kills:
                    grader.wait()
                    break
                # Now at the start, now in the middle of things; a parent needs some seconds to be warm.
                time.sleep(one.choice((0.2, 1.0, 4.0, 8.0)) * one.random())
                found = victim(grader, one)
                if found is not None:
                    try:
                        os.kill(found[1], signal.SIGKILL)
                        killed[found[0]] += 1
                    except ProcessLookupError:
                        pass
            look()
            if say:
                print(f"{len(seen)} of {count} judged, killed {dict(killed)}", flush=True)
            if grader.returncode == 0:
                break
        lost = 0
        for path in sorted((place / "in").glob("*.ipynb")):
            key = hashlib.sha256(path.read_bytes()).hexdigest()
            score = json.loads(seen[key])["score"] if key in seen else None
            if score != marks[path.stem]:
                lost += 1
                if say:
                    print(f"{path.stem}: {score}; {seen.get(key, '')[:600]}")
        left = [path.name for path in Path("/tmp").glob("see-*") if not _owned(path)]
        if left:
            raise AssertionError(f"left behind when all was done: {left}")
    return killed.total(), lost, len(doubled)


def _owned(folder: Path) -> bool:
    owner = folder.name.removeprefix("see-").split("-")[0]
    return owner.isdigit() and psutil.pid_exists(int(owner))


def main() -> int:
    parser = argparse.ArgumentParser(prog="make soak")
    parser.add_argument("--submissions", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--grade", type=Path)
    given = parser.parse_args()
    if given.grade is not None:
        return grade(given.grade)
    killed, lost, doubled = soak(given.submissions, given.kills, given.seed)
    print(f"{given.submissions} submissions, {killed} kills, {lost} lost, {doubled} doubled")
    return 1 if lost or doubled or killed < given.kills else 0


if __name__ == "__main__":
    sys.exit(main())
