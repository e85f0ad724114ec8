"""An edition has what a learner may import, and nothing else; it is never stale, and two builders build the
same.
"""

import hashlib
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from grading import editions
from grading.errors import CourseBroken
from grading.layout import Layout
from grading.weeks import Week, all_weeks
from tests.fixtures import course_tree

Course = tuple[Layout, Week]


@pytest.fixture
def course(tmp_path: Path) -> Course:
    return course_tree.make(tmp_path / "course")


def withholding(course: Course, *modules: str) -> Week:
    layout, week = course
    path = week.folder / "week.toml"
    path.write_text(path.read_text().replace("withhold = []", f"withhold = {json.dumps(modules)}"))
    return course_tree.again(layout)


def run(edition: Path, code: str) -> subprocess.CompletedProcess[str]:
    """In a fresh interpreter, outside the repository, as a learner's kernel has it."""
    environment = {**os.environ, "PYTHONPATH": str(edition), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=edition, env=environment, capture_output=True, text=True
    )


def test_a_withheld_module_does_not_import_and_the_others_do(course: Course) -> None:
    week = withholding(course, "course_lib.projectors", "course_lib.qformer")
    edition = editions.ensure(course[0], week)
    gone = run(edition, "import course_lib.projectors")
    assert "ModuleNotFoundError: No module named 'course_lib.projectors'" in gone.stderr
    there = run(
        edition, "import course_lib.checks as c, course_lib.checking as d; print(c.__file__, d.__file__)"
    )
    assert there.stdout.split() == [
        str(edition / "course_lib" / f"{name}.py") for name in ("checks", "checking")
    ]


def test_a_later_week_withholds_from_an_earlier_one_and_not_the_other_way_round(course: Course) -> None:
    layout, week = course
    later = layout.solutions / "week91_later"
    later.mkdir()
    for name in ("week.toml", "checks.py"):
        text = (week.folder / name).read_text()
        text = text.replace("week = 90", "week = 91").replace(
            "withhold = []", 'withhold = ["course_lib.qformer"]'
        )
        (later / name).write_text(text)
    early, late = all_weeks(layout)
    early_has = set(editions.files(layout, early))
    assert "course_lib/qformer.py" not in early_has, "a module of week 91 is not known in week 90 yet"
    withheld_early = withholding((layout, early), "course_lib.projectors")
    assert "course_lib/projectors.py" not in editions.files(layout, withheld_early)
    assert "course_lib/projectors.py" in editions.files(layout, late), "week 91 has what week 90 asked for"


def test_no_hidden_file_is_in_an_edition_or_its_wheel(course: Course) -> None:
    layout, week = course
    edition = editions.ensure(layout, week)
    names = {path.relative_to(edition).as_posix() for path in edition.rglob("*")}
    with zipfile.ZipFile(editions.wheel(layout, week)) as wheel:
        names |= set(wheel.namelist())
    assert not [name for name in names if any(word in name for word in ("hidden", "misconception", "right/"))]
    secret = next((week.folder / "hidden").glob("*.py")).read_bytes()
    assert secret not in [path.read_bytes() for path in edition.rglob("*.py")]


def test_an_edition_is_found_again_and_a_change_makes_another(course: Course) -> None:
    layout, week = course
    first = editions.ensure(layout, week)
    stamp = (first / "course_lib" / "checks.py").stat().st_mtime_ns
    assert editions.ensure(layout, week) == first
    assert (first / "course_lib" / "checks.py").stat().st_mtime_ns == stamp
    checks = week.folder / "checks.py"
    checks.write_text(checks.read_text() + "# changed\n")
    second = editions.ensure(layout, week)
    assert second != first
    assert (second / "course_lib" / "checks.py").read_text().endswith("# changed\n")


def build(root: str, queue: "multiprocessing.Queue[str]") -> None:
    layout = Layout(Path(root))
    queue.put(str(editions.ensure(layout, course_tree.again(layout))))


@pytest.mark.slow
def test_two_builders_at_once_build_one_edition(course: Course) -> None:
    layout, week = course
    (layout.root / "course_lib").unlink()  # a copy: nobody edits it between the two
    shutil.copytree(course_tree.ROOT / "course_lib", layout.root / "course_lib")
    context = multiprocessing.get_context("spawn")
    queue: multiprocessing.Queue[str] = context.Queue()
    both = [context.Process(target=build, args=(str(layout.root), queue)) for _ in range(2)]
    for one in both:
        one.start()
    places = {queue.get(timeout=60) for _ in both}
    for one in both:
        one.join()
    assert len(places) == 1
    assert [path.name for path in (layout.editions / week.id).iterdir()] == [Path(places.pop()).name]


def test_everybody_can_read_an_edition(course: Course) -> None:
    before = os.umask(0o077)
    try:
        edition = editions.ensure(*course)
    finally:
        os.umask(before)
    assert all(path.stat().st_mode & 0o004 for path in [edition, *edition.rglob("*")])


def test_a_wheel_is_the_same_bytes_and_asks_for_no_packages(course: Course) -> None:
    layout, week = course
    first = editions.wheel(layout, week)
    raw = first.read_bytes()
    first.unlink()
    first.parent.rmdir()
    assert editions.wheel(layout, week).read_bytes() == raw
    with zipfile.ZipFile(first) as wheel:
        (metadata,) = [wheel.read(name).decode() for name in wheel.namelist() if name.endswith("METADATA")]
        assert wheel.testzip() is None
    assert "Requires-Dist" not in metadata


@pytest.mark.slow
def test_pip_installs_the_wheel_and_the_checks_import_from_it(course: Course, tmp_path: Path) -> None:
    wheel = editions.wheel(*course)
    target = tmp_path / "site"
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--target",
        str(target),
    ]
    subprocess.run([*pip, str(wheel)], check=True, capture_output=True)
    done = run(target, "import course_lib.checks as c; print(c.check, c.__file__)")
    assert str(target) in done.stdout, done.stderr


def test_the_kernels_of_an_edition_import_it_first(course: Course) -> None:
    layout, week = course
    edition, folder = editions.ensure(layout, week), editions.kernel(layout, week)
    specs = {path.parent.name: json.loads(path.read_text()) for path in folder.glob("kernels/*/kernel.json")}
    assert set(specs) == {"course-week90", "python3"}
    for spec in specs.values():
        assert spec["env"]["PYTHONPATH"] == str(edition)
        assert spec["argv"][0] == sys.executable


def test_a_module_that_does_not_exist_cannot_be_withheld(course: Course) -> None:
    with pytest.raises(CourseBroken, match=r"withholds course_lib\.nothing"):
        editions.ensure(course[0], withholding(course, "course_lib.nothing"))


DATA = {
    "another hash": lambda folder: (folder / "model.bin").write_bytes(b"other"),
    "missing": lambda folder: (folder / "model.bin").unlink(),
    "no manifest that can be read": lambda folder: (folder / "manifest.json").write_text("{"),
}


@pytest.mark.parametrize("damage", DATA)
def test_a_damaged_model_does_not_ship(course: Course, damage: str) -> None:
    layout, week = course
    layout.data.mkdir()
    raw = b"numbers"
    (layout.data / "model.bin").write_bytes(raw)
    (layout.data / "unnamed.txt").write_text("not in the manifest")
    entry = {"sha256": hashlib.sha256(raw).hexdigest()}
    (layout.data / "manifest.json").write_text(json.dumps({"files": {"model.bin": entry}}))
    shipped = [name for name in editions.files(layout, week) if "_data" in name]
    assert shipped == ["course_lib/_data/manifest.json", "course_lib/_data/model.bin"]
    DATA[damage](layout.data)
    with pytest.raises(CourseBroken, match="git checkout"):
        editions.files(layout, week)


@pytest.mark.slow
@pytest.mark.parametrize("week", all_weeks(Layout(course_tree.ROOT)), ids=lambda week: week.id)
def test_every_module_of_a_real_edition_imports_and_nothing_withheld_does(week: Week, tmp_path: Path) -> None:
    layout = Layout(course_tree.ROOT, tmp_path)
    edition = editions.ensure(layout, week)
    modules = [
        path.relative_to(edition).as_posix().removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for path in (edition / "course_lib").rglob("*.py")
    ]
    code = "import importlib, sys\n" + "\n".join(f"importlib.import_module({name!r})" for name in modules)
    code += (
        "\nprint([m.__file__ for n, m in sys.modules.items() if n.split('.')[0] in ('grading', 'solutions')])"
    )
    done = run(edition, code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
    assert week.withhold
    for name in editions.withheld(layout, week):
        assert "ModuleNotFoundError" in run(edition, f"import {name}").stderr
