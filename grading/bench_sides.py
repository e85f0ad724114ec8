"""The sides of the benchmark, each as its users run it: `course grade`, `nbgrader autograde`, `otter run`.

All three get the same solved notebook of a week, each time with one comment of its own. Ours is as learners
hand it in. nbgrader's has the checks inside, public and hidden, because that is how nbgrader asks. otter's
asks for them by name, and they lie in the archive that `otter generate` makes. Experiment cells, which ours
does not run, are taken out of the other two, whose kernels import a course_lib in which nothing is withheld.

otter is in no environment of ours: exactly what requirements-bench.txt names is installed into a folder under
build/bench, and its processes alone have that on their path.
"""

import contextlib
import copy
import ctypes
import hashlib
import json
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grading import editions, release
from grading.errors import CourseBroken, GradingError
from grading.layout import Layout
from grading.sandbox import descendants
from grading.weeks import Exercise, Week

LOOK_S = 0.02
PR_SET_CHILD_SUBREAPER = 36  # <sys/prctl.h>
ALONE = 3  # runs of the learner's own code
LOCK = "requirements-bench.txt"
INSTALL_S = 1200.0

# One graded cell as a stock nbgrader course has it: the hidden checks travel with the notebook.
TESTS_INSIDE = """
check({exercise!r}, {subject})

import types

from course_lib.checking import Subject, checks_in, run_check

hidden = types.ModuleType("hidden_{exercise}")
exec({source!r}, hidden.__dict__)
for one in checks_in(vars(hidden)):
    ours = Subject.here({name}, {subject})
    theirs = Subject.here({name}, hidden.REFERENCE)
    outcome = run_check(one, ours, None if one.public else theirs, 1)
    assert outcome.passed, (one.claim, outcome.seen, outcome.look)
"""

# The same checks in one of otter's test files: a case for each, with its share of the points.
TEST_FILE = """
import types

from otter.test_files import test_case

from course_lib import checks
from course_lib.checking import Subject, checks_in, run_check

OK_FORMAT = False

name = {exercise!r}

hidden = types.ModuleType("hidden_{exercise}")
exec({source!r}, hidden.__dict__)
both = [*checks_in(vars(checks)), *checks_in(vars(hidden))]
known = {{one.name: one for one in both if one.exercise == name}}


def holds(environment, which):
    one = known[which]
    ours = Subject.here({subject!r}, environment[{subject!r}])
    theirs = None if one.public else Subject.here({subject!r}, hidden.REFERENCE)
    outcome = run_check(one, ours, theirs, 1)
    assert outcome.passed, (one.claim, outcome.seen, outcome.look)

"""
TEST_CASE = """
@test_case(name={check!r}, points={points!r}, hidden={hidden!r})
def case_{number}(env):
    holds(env, {check!r})

"""

# The learner's own code, alone: what no grader can save.
LEARNER_ALONE = """
import json, sys, time
sys.path.insert(0, sys.argv[2])
import torch
torch.set_num_threads(1)
import course_lib.checks, jaxtyping, einops
cells = json.load(open(sys.argv[1]))
names = {"__name__": "__main__"}
before = time.process_time()
for source in cells:
    exec(compile(source, "cell", "exec"), names)
print(time.process_time() - before)
"""


# -- what a command costs --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cost:
    """Seconds of a command: by the clock, and of every processor it used."""

    wall_s: float
    cpu_s: float

    def each(self, less: "Cost", count: int) -> "Cost":
        """What one of `count` further submissions cost, beside a run without them."""
        return Cost((self.wall_s - less.wall_s) / count, (self.cpu_s - less.cpu_s) / count)


def measured(
    command: Sequence[str], place: Path, environment: Mapping[str, str], cores: Sequence[int] = ()
) -> Cost:
    """Run a command to its end.

    Args:
        cores: the only processors that it and everything under it may use; all of them if empty.

    Raises:
        CourseBroken: it ended with another status than 0; a side that fails is no measurement.
    """
    started = time.monotonic()
    with Meter() as meter, tempfile.TemporaryFile("w+") as said:
        with on_cores(cores):
            process = subprocess.Popen(
                command,
                cwd=place,
                env={**os.environ, **environment},
                stdout=subprocess.DEVNULL,
                stderr=said,
            )
        code = process.wait()
        wall = time.monotonic() - started
        said.seek(0)
        last = (said.read().strip().splitlines() or ["no message"])[-1]
    if code != 0:
        raise CourseBroken(f"the benchmark's `{' '.join(command[-6:])}` ended with {code}: {last}")
    return Cost(wall, meter.cpu_s)


def cores_here() -> list[int]:
    """The processors this process may use, in order."""
    return sorted(os.sched_getaffinity(0))


@contextlib.contextmanager
def on_cores(cores: Sequence[int]) -> Iterator[None]:
    """What this thread starts meanwhile stays on these processors."""
    before = os.sched_getaffinity(0)
    if cores:
        os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Meter:
    """CPU seconds of every process below this one, looked at every 20 ms.

    The system's own count is of no use here: a sandbox is ended by killing it, and the time of what ran
    inside is then added to nobody's. What a process does in its last 20 ms is not seen, on either side.
    """

    def __init__(self) -> None:
        self._seen: dict[tuple[int, int], int] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    @property
    def cpu_s(self) -> float:
        return sum(self._seen.values()) / os.sysconf("SC_CLK_TCK")

    def __enter__(self) -> "Meter":
        # Orphans become children of this process, and stay in sight.
        if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
            raise CourseBroken("this system does not let the benchmark count its grandchildren's CPU time.")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass

    def _watch(self) -> None:
        while not self._over.wait(LOOK_S):
            for pid in descendants(os.getpid()):
                with contextlib.suppress(OSError, ValueError):
                    # After the name in brackets: fields 14 and 15 are ticks in user and system, 22 the start.
                    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                    self._seen[pid, int(fields[19])] = int(fields[11]) + int(fields[12])


# -- the three sides -------------------------------------------------------------------------------------


class Ours:
    """`course grade` on an inbox, in a place of its own each time; the week is released there before."""

    def __init__(self, layout: Layout, week: Week, home: Path) -> None:
        self.layout, self.week, self.home = layout, week, home
        self.notebook = release.solved(week)
        self.released = home / "released"
        self.release = self._course(self.released, ["release", "--week", week.id])

    def grade(self, count: int, name: str, cores: Sequence[int] = (), workers: int = 1) -> Cost:
        """From the command to the last page; every submission gets full marks."""
        place = self.place(count, name)
        cost = self._course(place, self.command(place, workers), cores)
        self.check(place, count)
        return cost

    def place(self, count: int, name: str) -> Path:
        """A scratch folder with an inbox of that many, and with what `course release` left."""
        place = self.home / name
        shutil.copytree(self.released, place, symlinks=True)
        inbox = place / "inbox"
        inbox.mkdir()
        for number in range(count):
            text = json.dumps(own(self.notebook, number))
            (inbox / f"learner{number:04d}.ipynb").write_text(text, encoding="utf-8")
        return place

    def command(self, place: Path, workers: int) -> list[str]:
        return ["grade", str(place / "inbox"), "--week", self.week.id, "--workers", str(workers)]

    def check(self, place: Path, count: int) -> None:
        _full_marks(place / "var" / "gradebook.db", count, sum(self.week.points.values()))

    def _course(self, place: Path, command: Sequence[str], cores: Sequence[int] = ()) -> Cost:
        return measured(course(place, command), self.layout.root, {}, cores)

    def learner_alone(self) -> float:
        """CPU seconds of the cells that grading runs, in a process that has imported everything."""
        cells = [
            cell["source"]
            for cell in self.notebook["cells"]
            if cell["cell_type"] == "code" and "experiment" not in cell["metadata"]
        ]
        path = self.home / "cells.json"
        path.write_text(json.dumps(cells), encoding="utf-8")
        edition = editions.ensure(self.layout, self.week)
        times = []
        for _ in range(ALONE):
            done = subprocess.run(
                [sys.executable, "-c", LEARNER_ALONE, str(path), str(edition)],
                capture_output=True,
                text=True,
                check=True,
            )
            times.append(float(done.stdout.splitlines()[-1]))
        return statistics.median(times)


def course(place: Path, command: Sequence[str]) -> list[str]:
    """The command line of one of `course`'s commands, with its build/ and var/ in a place of its own."""
    return [sys.executable, "-m", "grading", "--scratch", str(place), *command]


class Stock:
    """`nbgrader autograde` as it comes, on a course of its own."""

    def __init__(self, layout: Layout, week: Week, home: Path) -> None:
        self.week, self.home = week, home
        self.path = whole_library(layout, week, home / "lib")
        self.notebook = self.with_tests()
        source = home / "source" / week.id
        source.mkdir(parents=True)
        (source / f"{week.id}.ipynb").write_text(json.dumps(self.notebook), encoding="utf-8")
        (home / "nbgrader_config.py").write_text(
            'c = get_config()\nc.CourseDirectory.course_id = "stock"\nc.ExecutePreprocessor.timeout = 120\n'
        )
        measured(self._command("generate_assignment"), home, self.path)

    def grade(self, count: int, name: str, cores: Sequence[int] = ()) -> Cost:
        submitted, autograded = f"submitted-{name}", f"autograded-{name}"
        for number in range(count):
            place = self.home / submitted / f"learner{number:04d}" / self.week.id
            place.mkdir(parents=True)
            text = json.dumps(own(self.notebook, number))
            (place / f"{self.week.id}.ipynb").write_text(text, encoding="utf-8")
        options = [
            f"--CourseDirectory.{step}_directory={folder}"
            for step, folder in (("submitted", submitted), ("autograded", autograded))
        ]
        # A gradebook that holds the assignment and nobody yet, as ours starts with: one grown over the rounds
        # would be slower, and would hide a submission that failed behind one that did not.
        book, kept = self.home / "gradebook.db", self.home / "gradebook-before.db"
        if not kept.exists():
            shutil.copyfile(book, kept)
        shutil.copyfile(kept, book)
        cost = measured([*self._command("autograde"), *options], self.home, self.path, cores)
        _full_marks(book, count, sum(self.week.points.values()))
        return cost

    def _command(self, verb: str) -> list[str]:
        return [sys.executable, "-m", "nbgrader", verb, self.week.id]

    def with_tests(self) -> dict[str, Any]:
        subjects = {one.id: one.subject for one in self.week.exercises}

        def ask(exercise: str) -> str:
            return TESTS_INSIDE.format(
                exercise=exercise,
                subject=subjects[exercise],
                name=repr(subjects[exercise]),
                source=hidden_source(self.week, exercise),
            )

        return asking(release.solved(self.week), ask)


class Otter:
    """`otter run`, a process for each submission, with an archive made once by `otter generate`.

    Args:
        packages: the folder that `install_otter` made.
    """

    def __init__(self, layout: Layout, week: Week, home: Path, packages: Path) -> None:
        self.week, self.home = week, home
        self.path = whole_library(layout, week, home / "lib")
        self.path["PYTHONPATH"] = os.pathsep.join([str(packages), self.path["PYTHONPATH"]])
        tests = home / "tests"
        tests.mkdir()
        for exercise in week.exercises:
            (tests / f"{exercise.id}.py").write_text(otter_test_file(week, exercise), encoding="utf-8")
        self.archive = home / "autograder.zip"
        options = ["--no-config", "--no-requirements", "--no-environment"]
        command = [*self._command("generate"), "-t", str(tests), "-o", str(self.archive), *options]
        measured(command, home, self.path)

    def grade(self, name: str, cores: Sequence[int] = (), answers: Mapping[str, str] | None = None) -> Cost:
        """One submission, to its marks on the disk: full marks, unless other answers are given."""
        place = self.home / name
        place.mkdir()
        number = sum(name.encode())
        notebook = own(otter_notebook(self.week, answers), number)
        (place / f"{self.week.id}.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
        command = [*self._command("run"), "-a", str(self.archive), "-o", ".", f"{self.week.id}.ipynb"]
        cost = measured(command, place, self.path, cores)
        score, most = self.marks(name)
        if answers is None and abs(score - most) > 1e-6:
            raise CourseBroken(f"otter gave the solved notebook {score:g} of {most:g} points.")
        return cost

    def marks(self, name: str) -> tuple[float, float]:
        """(given, at most) of a graded submission."""
        found = json.loads((self.home / name / "results.json").read_text(encoding="utf-8"))
        tests = [one for one in found["tests"] if "max_score" in one]
        return sum(one["score"] for one in tests), sum(self.week.points.values())

    def _command(self, verb: str) -> list[str]:
        return [sys.executable, "-m", "otter", verb]


def install_otter(layout: Layout, say: Callable[[str], None]) -> Path | None:
    """A folder with otter and what it needs beside our own packages; None, and a sentence, if there is none.

    It is named by its lock, so that one that is there is the right one.
    """
    lock = layout.root / LOCK
    place = otter_folder(layout)
    if place is None:
        say(f"otter is left out: {lock} is missing.")
        return None
    if place.is_dir():
        return place
    say(f"installing otter for this benchmark alone, into {place} (about 290 MB, once)")
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".otter-", dir=place.parent) as work:
        # --no-deps: what is asked for is what the lock names, and torch is not in it.
        command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "install"]
        command += ["--no-deps", "--target", f"{work}/packages", "--requirement", str(lock)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_S, check=False)
            problem = "" if done.returncode == 0 else (done.stderr.strip().splitlines() or ["no reason"])[-1]
        except subprocess.TimeoutExpired:
            problem = f"it took more than {INSTALL_S:g} seconds"
        if problem:
            say(f"otter is left out, because it could not be installed: {problem}")
            return None
        with contextlib.suppress(OSError):  # another benchmark was first
            Path(work, "packages").rename(place)
    return place


def otter_folder(layout: Layout) -> Path | None:
    """Where otter belongs, whether it is there or not; None where there is no lock."""
    try:
        lock = (layout.root / LOCK).read_bytes()
    except OSError:
        return None
    return layout.bench / f"otter-{hashlib.sha256(lock).hexdigest()[:12]}"


# -- notebooks and checks --------------------------------------------------------------------------------


def own(notebook: dict[str, Any], number: int) -> dict[str, Any]:
    """A copy that differs from every other, so that no verdict can be found in a store."""
    found = copy.deepcopy(notebook)
    text = f"# learner number {number}"
    found["cells"].append(
        {
            "cell_type": "code",
            "id": "mine",
            "metadata": {},
            "source": text,
            "outputs": [],
            "execution_count": None,
        }
    )
    return found


def asking(notebook: dict[str, Any], ask: Callable[[str], str]) -> dict[str, Any]:
    """The notebook without experiments, whose check cells are what `ask` says for their exercise."""
    cells = []
    for cell in notebook["cells"]:
        exercise = cell["metadata"].get("check")
        if exercise is not None:
            cell["source"] = ask(exercise)
        if "experiment" not in cell["metadata"]:
            cells.append(cell)
    return {**notebook, "cells": cells}


def otter_notebook(week: Week, answers: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The solved notebook as an otter course hands it out: its checks are asked for by name."""
    found = asking(release.solved(week, answers), lambda exercise: f"grader.check({exercise!r})")
    opening: dict[str, Any] = {
        "cell_type": "code",
        "id": "otter",
        "metadata": {},
        "source": "import otter\n\ngrader = otter.Notebook()",
        "outputs": [],
        "execution_count": None,
    }
    cells = [{**cell, "metadata": {}} for cell in found["cells"]]
    return {**found, "cells": [opening, *cells]}


def otter_test_file(week: Week, exercise: Exercise) -> str:
    """otter's test file for one exercise: every check, public and hidden, with the points it is worth."""
    weights = sum(check.weight for check in exercise.checks)
    text = TEST_FILE.format(
        exercise=exercise.id, subject=exercise.subject, source=hidden_source(week, exercise.id)
    )
    for number, check in enumerate(exercise.checks):
        points = exercise.points * check.weight / weights
        text += TEST_CASE.format(check=check.name, points=points, hidden=not check.public, number=number)
    return text


def hidden_source(week: Week, exercise: str) -> str:
    return (week.folder / "hidden" / f"{exercise}.py").read_text(encoding="utf-8")


def whole_library(layout: Layout, week: Week, lib: Path) -> dict[str, str]:
    """A course_lib in which nothing is withheld; returns the environment in which Python finds it."""
    shutil.copytree(layout.course_lib, lib / "course_lib", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(week.folder / "checks.py", lib / "course_lib" / "checks.py")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return {"PATH": path, "PYTHONPATH": str(lib)}


def _full_marks(book: Path, count: int, points: float) -> None:
    """Both gradebooks are nbgrader's. One in which a learner lacks a mark was not graded as it should be.

    Raises:
        GradingError: with how many of how many are right.
    """
    query = (
        "select sum(grade.auto_score) from grade "
        "join submitted_notebook on grade.notebook_id = submitted_notebook.id group by submitted_notebook.id"
    )
    with contextlib.closing(sqlite3.connect(book)) as gradebook:
        scores = [float(score or 0.0) for (score,) in gradebook.execute(query)]
    full = sum(abs(score - points) < 1e-6 for score in scores)
    if full != count:
        raise GradingError(
            f"{full} of {count} solved notebooks got {points:g} points; a wrong mark is no measurement."
        )
