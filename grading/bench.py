"""What grading one more submission costs: `course grade` beside stock `nbgrader autograde`.

Both grade the same solved notebooks of one week. Ours gets them as learners hand them in. nbgrader's have the
same checks inside, public and hidden, because that is how nbgrader asks; experiment cells, which ours does
not run, are taken out, and its kernel imports a course_lib in which nothing is withheld.

Each side runs as its own command, in turn, several rounds in one go. A round is two runs, one with 1
submission and one with more; the difference, divided, is what one more costs when everything that is paid
once is paid. CPU time is that of the command and of every process under it.
"""

import contextlib
import copy
import ctypes
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from grading import editions, release
from grading.errors import CourseBroken
from grading.layout import Layout
from grading.sandbox import descendants
from grading.weeks import Week

ROUNDS = 3
LOOK_S = 0.02
PR_SET_CHILD_SUBREAPER = 36  # <sys/prctl.h>
Bars = Callable[[], AbstractContextManager[Callable[[str, int, int], None]]]

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


@dataclass(frozen=True)
class Cost:
    """Seconds of a command: by the clock, and of every processor it used."""

    wall_s: float
    cpu_s: float


def run(layout: Layout, week: Week, submissions: int, console: Console, bars: Bars) -> dict[str, Any]:
    """Measure both sides, print the table, write build/bench/grading.json; returns what it holds."""
    home = layout.bench / "grading"
    shutil.rmtree(home, ignore_errors=True)
    ours, theirs = _Ours(layout, week, home / "course"), _Stock(layout, week, home / "nbgrader")
    slopes: dict[str, list[Cost]] = {"ours": [], "nbgrader": []}
    once: dict[str, list[Cost]] = {"ours": [], "nbgrader": []}
    sides: tuple[tuple[str, _Ours | _Stock], ...] = (("ours", ours), ("nbgrader", theirs))
    with bars() as progress:
        for number in range(ROUNDS):
            for name, side in sides:
                few = side.grade(1, f"{number}-few")
                many = side.grade(1 + submissions, f"{number}-many")
                once[name].append(few)
                slopes[name].append(
                    Cost((many.wall_s - few.wall_s) / submissions, (many.cpu_s - few.cpu_s) / submissions)
                )
                progress("measured", 2 * number + (name == "nbgrader") + 1, 2 * ROUNDS)
    learner = ours.learner_alone()
    found = _summary(submissions, slopes, once, learner)
    layout.bench.mkdir(parents=True, exist_ok=True)
    (layout.bench / "grading.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    _show(console, week, found)
    shutil.rmtree(home, ignore_errors=True)
    return found


def _summary(
    submissions: int,
    slopes: Mapping[str, list[Cost]],
    once: Mapping[str, list[Cost]],
    learner: float,
) -> dict[str, Any]:
    def median(costs: list[Cost]) -> dict[str, float]:
        return {
            "wall_s": round(statistics.median(cost.wall_s for cost in costs), 3),
            "cpu_s": round(statistics.median(cost.cpu_s for cost in costs), 3),
        }

    ours, theirs = median(slopes["ours"]), median(slopes["nbgrader"])
    return {
        "submissions": submissions,
        "rounds": ROUNDS,
        "ours": ours,
        "nbgrader": theirs,
        "ratio_wall": round(theirs["wall_s"] / ours["wall_s"], 2),
        "ratio_cpu": round(theirs["cpu_s"] / ours["cpu_s"], 2),
        "learner_cpu_s": round(learner, 3),
        "overhead_cpu_s": round(ours["cpu_s"] - learner, 3),
        "one_submission": {name: median(costs) for name, costs in once.items()},
    }


def _show(console: Console, week: Week, found: Mapping[str, Any]) -> None:
    table = Table(
        box=None, pad_edge=False, title=f"Grading {week.id}", title_justify="left", title_style="bold"
    )
    for name in ("", "course grade", "nbgrader autograde", "ratio"):
        table.add_column(name, justify="right" if name else "left")
    for key, label in (("wall", "one more submission, by the clock"), ("cpu", "one more submission, CPU")):
        ours, theirs = found["ours"][f"{key}_s"], found["nbgrader"][f"{key}_s"]
        table.add_row(label, f"{ours:.2f} s", f"{theirs:.2f} s", f"{found[f'ratio_{key}']:.2f}")
    alone = found["one_submission"]
    ours, theirs = alone["ours"]["wall_s"], alone["nbgrader"]["wall_s"]
    table.add_row(
        "the first one, start-up included", f"{ours:.1f} s", f"{theirs:.1f} s", f"{theirs / ours:.2f}"
    )
    console.print(table)
    console.print(
        f"medians of {found['rounds']} rounds, 1 and {found['submissions'] + 1} submissions, one worker; "
        f"the learner's "
        f"own code takes {found['learner_cpu_s']:.2f} s of CPU, ours adds {found['overhead_cpu_s']:.2f} s"
    )


# -- the two sides ---------------------------------------------------------------------------------------


def _measured(command: list[str], place: Path, environment: Mapping[str, str]) -> Cost:
    started = time.monotonic()
    with _Meter() as meter, tempfile.TemporaryFile("w+") as said:
        done = subprocess.run(
            command,
            cwd=place,
            env={**os.environ, **environment},
            stdout=subprocess.DEVNULL,
            stderr=said,
            check=False,
        )
        wall = time.monotonic() - started
        said.seek(0)
        last = (said.read().strip().splitlines() or ["no message"])[-1]
    if done.returncode != 0:
        raise CourseBroken(f"the benchmark's `{' '.join(command[-6:])}` ended with {done.returncode}: {last}")
    return Cost(wall, meter.cpu_s)


class _Meter:
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

    def __enter__(self) -> "_Meter":
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


def _own(notebook: dict[str, Any], number: int) -> dict[str, Any]:
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


class _Ours:
    """`course grade` on an inbox, in a place of its own each time."""

    def __init__(self, layout: Layout, week: Week, home: Path) -> None:
        self.layout, self.week, self.home = layout, week, home
        self.notebook = release.solved(week)

    def grade(self, count: int, name: str) -> Cost:
        place = self.home / name
        inbox = place / "inbox"
        inbox.mkdir(parents=True)
        for number in range(count):
            text = json.dumps(_own(self.notebook, number))
            (inbox / f"learner{number:03d}.ipynb").write_text(text, encoding="utf-8")
        command = [sys.executable, "-m", "grading", "--scratch", str(place), "grade", str(inbox)]
        command += ["--week", self.week.id, "--workers", "1"]
        return _measured(command, self.layout.root, {})

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
        for _ in range(ROUNDS):
            done = subprocess.run(
                [sys.executable, "-c", LEARNER_ALONE, str(path), str(edition)],
                capture_output=True,
                text=True,
                check=True,
            )
            times.append(float(done.stdout.splitlines()[-1]))
        return statistics.median(times)


class _Stock:
    """`nbgrader autograde` as it comes, on a course of its own."""

    def __init__(self, layout: Layout, week: Week, home: Path) -> None:
        self.layout, self.week, self.home = layout, week, home
        self.path = {"PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])}
        lib = home / "lib"
        shutil.copytree(layout.course_lib, lib / "course_lib", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copyfile(week.folder / "checks.py", lib / "course_lib" / "checks.py")
        self.path |= {"PYTHONPATH": str(lib)}
        self.notebook = self._with_tests()
        source = home / "source" / week.id
        source.mkdir(parents=True)
        (source / f"{week.id}.ipynb").write_text(json.dumps(self.notebook), encoding="utf-8")
        (home / "nbgrader_config.py").write_text(
            'c = get_config()\nc.CourseDirectory.course_id = "stock"\nc.ExecutePreprocessor.timeout = 120\n'
        )
        _measured(self._command("generate_assignment"), home, self.path)

    def grade(self, count: int, name: str) -> Cost:
        submitted, autograded = f"submitted-{name}", f"autograded-{name}"
        for number in range(count):
            place = self.home / submitted / f"learner{number:03d}" / self.week.id
            place.mkdir(parents=True)
            text = json.dumps(_own(self.notebook, number))
            (place / f"{self.week.id}.ipynb").write_text(text, encoding="utf-8")
        options = [
            f"--CourseDirectory.{step}_directory={folder}"
            for step, folder in (("submitted", submitted), ("autograded", autograded))
        ]
        return _measured([*self._command("autograde"), *options], self.home, self.path)

    def _command(self, verb: str) -> list[str]:
        return [sys.executable, "-m", "nbgrader", verb, self.week.id]

    def _with_tests(self) -> dict[str, Any]:
        notebook = release.solved(self.week)
        subjects = {one.id: one.subject for one in self.week.exercises}
        cells = []
        for cell in notebook["cells"]:
            name = cell["metadata"].get("check")
            if name is not None:
                hidden = (self.week.folder / "hidden" / f"{name}.py").read_text(encoding="utf-8")
                cell["source"] = TESTS_INSIDE.format(
                    exercise=name, subject=subjects[name], name=repr(subjects[name]), source=hidden
                )
            if "experiment" not in cell["metadata"]:
                cells.append(cell)
        return {**notebook, "cells": cells}
