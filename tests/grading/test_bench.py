"""The benchmark counts what it says it counts."""

import ast
import io
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from grading import bench, bench_kernels, bench_sides
from grading.cli import app
from grading.errors import CourseBroken, GradingError
from grading.layout import Layout
from tests.fixtures import course_tree

pytestmark = pytest.mark.slow  # processes are timed

ROOT = course_tree.ROOT
BURN = "import time\nend = time.process_time() + 0.5\nwhile time.process_time() < end: pass\n"


def measured(code: str, tmp_path: Path) -> bench_sides.Cost:
    """In a process of its own: it adopts orphans, and that is for good."""
    script = (
        "import sys; from pathlib import Path; from grading import bench_sides;"
        f"cost = bench_sides.measured([sys.executable, '-c', {code!r}], Path({str(tmp_path)!r}), {{}});"
        "print(cost.cpu_s, cost.wall_s)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    cpu, wall = map(float, done.stdout.split())
    return bench_sides.Cost(wall, cpu)


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
        bench_sides.measured(
            [sys.executable, "-c", "import sys; sys.stderr.write('the reason'); sys.exit(3)"], tmp_path, {}
        )


@pytest.mark.skipif(len(bench_sides.cores_here()) < 2, reason="one core is all there is")
def test_a_command_and_its_children_stay_on_the_cores_they_are_given(tmp_path: Path) -> None:
    """And what is started after it may use all of them again."""
    core = bench_sides.cores_here()[-1]
    tell = "import os, pathlib; pathlib.Path('seen').write_text(repr(os.sched_getaffinity(0)))"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {tell!r}], check=True)"
    before = os.sched_getaffinity(0)
    with bench_sides.on_cores([core]):
        subprocess.run([sys.executable, "-c", parent], cwd=tmp_path, check=True)
    assert ast.literal_eval((tmp_path / "seen").read_text()) == {core}
    assert os.sched_getaffinity(0) == before


# -- the table -------------------------------------------------------------------------------------------


def found(otter: bool = True, two: bool = True) -> bench.Measured:
    """Made-up costs of three rounds."""
    cost = bench_sides.Cost
    more = {
        "ours": [cost(1.0, 0.5), cost(2.0, 0.6), cost(9.0, 0.4)],
        "nbgrader": [cost(4.0, 3.0), cost(6.0, 2.0), cost(5.0, 2.5)],
        "otter": [cost(30.0, 20.0), cost(20.0, 10.0), cost(10.0, 15.0)] if otter else [],
    }
    alone = {
        "ours": [cost(8.0, 7.0), cost(7.0, 6.0), cost(9.0, 7.5)],
        "nbgrader": [cost(6.0, 5.0), cost(7.5, 6.0), cost(7.0, 6.0)],
        "otter": more["otter"],
    }
    return bench.Measured(more, alone, [cost(1.0, 0.5), cost(1.1, 0.5), cost(5.0, 0.5)] if two else [])


INSIDE: dict[str, Any] = {
    "pss_mb_per_kernel": 41.26,
    "isolation": {"boxed": 90.0, "plain": 65.5},
    "memory_growth": 0.01234,
}


def test_the_summary_holds_what_was_promised() -> None:
    table = bench.summary(24, found(), 0.2, 3.21, INSIDE, 150)
    assert table["ours"] == {"wall_s": 2.0, "cpu_s": 0.5}
    assert table["nbgrader"] == {"wall_s": 5.0, "cpu_s": 2.5}
    assert table["otter"] == {"wall_s": 20.0, "cpu_s": 15.0}
    assert (table["ratio_wall"], table["ratio_cpu"]) == (2.5, 5.0)
    assert (table["ratio_wall_otter"], table["ratio_cpu_otter"]) == (10.0, 30.0)
    assert (table["submissions"], table["otter_submissions"], table["rounds"]) == (24, 3, bench.ROUNDS)
    assert table["overhead_cpu_s"] == 0.3
    assert table["cold_s"] == {"ours": 8.0, "nbgrader": 7.0, "otter": 20.0}
    assert table["one_submission"]["ours"] == {"wall_s": 8.0, "cpu_s": 7.0}
    assert table["release_s"] == 3.21
    assert table["scaling_two_cores"] == round(2.0 / 1.1, 2)
    assert (table["pss_mb_per_kernel"], table["isolation_ms"]) == (41.3, 24.5)
    assert table["kernel_ready_ms"] == {"boxed": 90.0, "plain": 65.5}
    assert (table["memory_growth"], table["class"]) == (0.0123, 150)


def test_what_was_not_measured_is_null_and_the_table_is_shown_all_the_same(tmp_path: Path) -> None:
    _, week = course_tree.make(tmp_path / "course")
    inside = {**INSIDE, "pss_mb_per_kernel": None, "memory_growth": None}
    table = bench.summary(24, found(otter=False, two=False), 0.2, 3.2, inside, 0)
    for key in ("otter", "ratio_wall_otter", "ratio_cpu_otter", "scaling_two_cores", "memory_growth"):
        assert table[key] is None, key
    assert table["pss_mb_per_kernel"] is table["cold_s"]["otter"] is table["one_submission"]["otter"] is None
    said = io.StringIO()
    bench.show(Console(file=said, width=200), week, table)
    assert "2.00 s" in said.getvalue()
    assert "not looked at" in said.getvalue()


def test_the_table_shows_every_side_and_what_is_inside(tmp_path: Path) -> None:
    _, week = course_tree.make(tmp_path / "course")
    said = io.StringIO()
    bench.show(Console(file=said, width=200), week, bench.summary(24, found(), 0.2, 3.2, INSIDE, 150))
    for shown in ("20.00 s", "10.0", "1.82 times", "41 MB", "24 ms a kernel", "+1.2% from the 100th of 150"):
        assert shown in said.getvalue(), shown


def test_one_submission_more_is_the_difference_divided() -> None:
    many, few = bench_sides.Cost(20.0, 11.0), bench_sides.Cost(8.0, 5.0)
    assert many.each(few, 24) == bench_sides.Cost(0.5, 0.25)


def test_memory_growth_compares_after_a_hundred_with_the_end() -> None:
    early = [(90, 1.0), (100, 200.0), (105, 202.0), (109, 204.0)]
    assert bench_kernels.growth([*early, (110, 900.0), (150, 900.0), (195, 222.2)], 200) == pytest.approx(0.1)
    assert bench_kernels.growth(early, 200) is None
    assert bench_kernels.growth([(50, 1.0), (199, 2.0)], 200) is None


def test_memory_of_this_process_is_read_and_of_one_that_ended_is_nothing() -> None:
    mine = bench_kernels.pss_mb([os.getpid()])
    assert mine is not None
    assert mine > 1
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert bench_kernels.pss_mb([ended.pid]) == 0


def test_a_class_too_small_to_see_memory_grow_is_refused() -> None:
    said = CliRunner().invoke(app, ["bench", "--only", "grading", "--class", "100"])
    assert "--class 100 is too small" in str(said.exception)
    assert str(bench.CLASS_LEAST) in str(said.exception)


# -- the sides -------------------------------------------------------------------------------------------


def test_nbgraders_notebooks_have_the_checks_inside_and_no_experiments(tmp_path: Path) -> None:
    _, week = course_tree.make(tmp_path / "course")
    stock = bench_sides.Stock.__new__(bench_sides.Stock)
    stock.week = week
    cells = stock.with_tests()["cells"]
    assert not [cell for cell in cells if "experiment" in cell["metadata"]]
    inside = {cell["metadata"]["check"]: cell["source"] for cell in cells if "check" in cell["metadata"]}
    for exercise in week.exercises:
        compile(inside[exercise.id], "cell", "exec")
        for check in exercise.hidden_checks:
            assert check.name in inside[exercise.id]


def test_otters_test_files_have_every_check_and_all_of_the_points(tmp_path: Path) -> None:
    _, week = course_tree.make(tmp_path / "course")
    for exercise in week.exercises:
        tree = ast.parse(bench_sides.otter_test_file(week, exercise))
        cases = [
            {one.arg: ast.literal_eval(one.value) for one in node.decorator_list[0].keywords}
            for node in tree.body
            if isinstance(node, ast.FunctionDef) and node.decorator_list
            if isinstance(node.decorator_list[0], ast.Call)
        ]
        assert {case["name"]: case["hidden"] for case in cases} == {
            check.name: not check.public for check in exercise.checks
        }
        assert sum(case["points"] for case in cases) == pytest.approx(exercise.points)


def test_otters_notebook_asks_for_every_exercise_and_has_no_experiments(tmp_path: Path) -> None:
    _, week = course_tree.make(tmp_path / "course")
    sources = [cell["source"] for cell in bench_sides.otter_notebook(week)["cells"]]
    asked = [source for source in sources if source.startswith("grader.check(")]
    assert asked == [f"grader.check({exercise.id!r})" for exercise in week.exercises]
    experiments = [cell["source"] for cell in week.cells() if "experiment" in cell["metadata"]]
    assert experiments
    assert not set(experiments) & set(sources)


def test_otter_gives_right_answers_everything_and_wrong_ones_less(tmp_path: Path) -> None:
    packages = bench_sides.otter_folder(Layout(ROOT))
    if packages is None or not packages.is_dir():
        pytest.skip("otter is not installed here; `course bench --only grading` installs it")
    layout, week = course_tree.make(tmp_path / "course")
    home = tmp_path / "otter"
    home.mkdir()
    otter = bench_sides.Otter(layout, week, home, packages)
    otter.grade("right")
    score, most = otter.marks("right")
    assert score == most == sum(week.points.values())
    exercise = week.exercises[0]
    wrong = exercise.misconceptions[0]
    source = (week.folder / "misconceptions" / exercise.id / f"{wrong.name}.py").read_text(encoding="utf-8")
    otter.grade("wrong", answers={exercise.id: source})
    score, most = otter.marks("wrong")
    assert most - exercise.points <= score < most


def test_without_a_lock_or_a_package_index_otter_is_left_out_with_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    layout = Layout(tmp_path)
    assert bench_sides.install_otter(layout, said.append) is None
    assert "is missing" in said[-1]
    shutil.copyfile(ROOT / bench_sides.LOCK, tmp_path / bench_sides.LOCK)
    for name in ("PIP_NO_INDEX", "PIP_NO_CACHE_DIR"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    assert bench_sides.install_otter(layout, said.append) is None
    assert "could not be installed" in said[-1]
    place = bench_sides.otter_folder(layout)
    assert place is not None
    assert not place.exists()
    place.mkdir()
    assert bench_sides.install_otter(layout, said.append) == place


def test_the_lock_of_the_benchmark_replaces_nothing_that_the_course_has() -> None:
    def names(file: str) -> set[str]:
        lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
        return {
            line.split("==")[0].lower().replace("_", "-") for line in lines if "==" in line and line[0] != "#"
        }

    ours, theirs = names("requirements.txt"), names(bench_sides.LOCK)
    assert "otter-grader" in theirs
    assert "torch" in ours
    assert not ours & theirs


def test_a_gradebook_in_which_a_mark_is_missing_is_no_measurement(tmp_path: Path) -> None:
    book = tmp_path / "gradebook.db"
    with sqlite3.connect(book) as made:
        made.execute("create table submitted_notebook (id text)")
        made.execute("create table grade (notebook_id text, auto_score real)")
        made.executemany("insert into submitted_notebook values (?)", [("a",), ("b",)])
        made.executemany("insert into grade values (?, ?)", [("a", 2.0), ("a", 3.0), ("b", 2.0), ("b", 3.0)])
    bench_sides._full_marks(book, 2, 5.0)
    with pytest.raises(GradingError, match="2 of 3 solved notebooks"):
        bench_sides._full_marks(book, 3, 5.0)
    with sqlite3.connect(book) as made:
        made.execute("update grade set auto_score = 1.0 where notebook_id = 'b' and auto_score = 3.0")
    with pytest.raises(GradingError, match="1 of 2 solved notebooks"):
        bench_sides._full_marks(book, 2, 5.0)
