"""The benchmark counts what it says it counts."""

import subprocess
import sys
from pathlib import Path

import pytest

from grading import bench
from grading.errors import CourseBroken
from tests.fixtures import course_tree

pytestmark = pytest.mark.slow  # processes are timed

BURN = "import time\nend = time.process_time() + 0.5\nwhile time.process_time() < end: pass\n"


def measured(code: str, tmp_path: Path) -> bench.Cost:
    """In a process of its own: it adopts orphans, and that is for good."""
    script = (
        "import sys; from pathlib import Path; from grading import bench;"
        f"cost = bench._measured([sys.executable, '-c', {code!r}], Path({str(tmp_path)!r}), {{}});"
        "print(cost.cpu_s, cost.wall_s)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    cpu, wall = map(float, done.stdout.split())
    return bench.Cost(wall, cpu)


def test_a_childs_work_counts(tmp_path: Path) -> None:
    child = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {BURN!r}])"
    assert measured(child, tmp_path).cpu_s >= 0.4


def test_the_work_of_a_process_whose_parent_ended_counts_too(tmp_path: Path) -> None:
    middle = f"import os, subprocess, sys\nsubprocess.Popen([sys.executable, '-c', {BURN!r}])\nos._exit(0)"
    outer = f"import subprocess, sys, time\nsubprocess.run([sys.executable, '-c', {middle!r}])\ntime.sleep(4)"
    assert measured(outer, tmp_path).cpu_s >= 0.4


def test_work_in_a_sandbox_that_is_killed_counts(tmp_path: Path) -> None:
    boxed = [
        "bwrap",
        "--dev-bind",
        "/",
        "/",
        "--unshare-pid",
        "--die-with-parent",
        sys.executable,
        "-c",
        BURN,
    ]
    boxed[-1] += "time.sleep(60)"
    code = (
        f"import subprocess, time\nbox = subprocess.Popen({boxed!r})\n"
        "time.sleep(5)\nbox.kill()\nbox.wait()\ntime.sleep(0.2)"
    )
    assert measured(code, tmp_path).cpu_s >= 0.5


def test_a_side_that_fails_is_no_measurement(tmp_path: Path) -> None:
    with pytest.raises(CourseBroken, match="ended with 3: the reason"):
        bench._measured(
            [sys.executable, "-c", "import sys; sys.stderr.write('the reason'); sys.exit(3)"], tmp_path, {}
        )


def test_the_summary_holds_what_was_promised() -> None:
    slopes = {
        "ours": [bench.Cost(1.0, 0.5), bench.Cost(2.0, 0.6), bench.Cost(9.0, 0.4)],
        "nbgrader": [bench.Cost(4.0, 3.0), bench.Cost(6.0, 2.0), bench.Cost(5.0, 2.5)],
    }
    found = bench._summary(6, slopes, slopes, learner=0.2)
    assert found["ours"] == {"wall_s": 2.0, "cpu_s": 0.5}
    assert found["nbgrader"] == {"wall_s": 5.0, "cpu_s": 2.5}
    assert (found["ratio_wall"], found["ratio_cpu"]) == (2.5, 5.0)
    assert (found["submissions"], found["overhead_cpu_s"]) == (6, 0.3)


def test_nbgraders_notebooks_have_the_checks_inside_and_no_experiments(tmp_path: Path) -> None:
    _, week = course_tree.make(tmp_path / "course")
    stock = bench._Stock.__new__(bench._Stock)
    stock.week = week
    cells = stock._with_tests()["cells"]
    assert not [cell for cell in cells if "experiment" in cell["metadata"]]
    inside = {cell["metadata"]["check"]: cell["source"] for cell in cells if "check" in cell["metadata"]}
    for exercise in week.exercises:
        compile(inside[exercise.id], "cell", "exec")
        for check in exercise.hidden_checks:
            assert check.name in inside[exercise.id]
