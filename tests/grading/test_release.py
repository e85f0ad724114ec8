"""A release is the same bytes twice, gives nothing away, and replaces the last one only when it is whole."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import nbformat
import pytest

from grading import editions, notebooks, release
from grading.errors import CourseBroken
from grading.layout import Layout
from grading.weeks import Week, all_weeks
from tests.fixtures import course_tree

Course = tuple[Layout, Week]


@pytest.fixture
def course(tmp_path: Path) -> Course:
    return course_tree.make(tmp_path / "course")


def tree(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def rewrite(week: Week, old: str, new: str, file: str = "") -> None:
    path = week.folder / (file or f"{week.id}.py")
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


# -- the same bytes ------------------------------------------------------------------------------------------


def test_a_release_is_the_same_bytes_twice_and_in_another_place(course: Course, tmp_path: Path) -> None:
    layout, week = course
    first = release.release(layout, week)
    bytes_1, wheel_1 = tree(layout.notebooks), first.wheel.read_bytes()
    second = release.release(layout, week)
    assert (first.changed, second.changed) == (True, False)
    assert tree(layout.notebooks) == bytes_1
    elsewhere, same_week = course_tree.make(tmp_path / "another" / "place")
    third = release.release(elsewhere, same_week)
    assert tree(elsewhere.notebooks) == bytes_1
    assert third.wheel.read_bytes() == wheel_1


def test_a_released_notebook_is_valid_portable_and_clean(course: Course) -> None:
    layout, week = course
    path = release.release(layout, week).notebook
    raw = json.loads(path.read_text())
    nbformat.validate(nbformat.from_dict(raw))
    assert (raw["nbformat"], raw["nbformat_minor"]) == (4, 5)
    assert raw["metadata"]["kernelspec"] == {
        "display_name": "Python 3",
        "language": "python",
        "name": "python3",
    }
    assert len({cell["id"] for cell in raw["cells"]}) == len(raw["cells"])
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in raw["cells"])
    assert path.read_bytes().endswith(b"\n")
    assert str(layout.root) not in path.read_text()


def test_every_gap_names_itself_and_fails_alone(course: Course) -> None:
    layout, week = course
    released = notebooks.read(release.release(layout, week).notebook)
    gaps = {
        cell["metadata"]["exercise"]: cell for cell in released["cells"] if "exercise" in cell["metadata"]
    }
    assert set(gaps) == set(week.points)
    for name, cell in gaps.items():
        assert f'raise NotImplementedError("week 90, exercise {name}")' in cell["source"]
        assert "SOLUTION" not in cell["source"]
        # With this gap open and every other one filled, exactly this exercise earns nothing.
        raw = course_tree.as_file(course_tree.submission(week, {name: cell["source"]}))
        verdict = course_tree.verdict(week, raw)
        assert verdict.exercise(name).score == 0
        assert [one.id for one in verdict.exercises if one.score < one.max] == [name]


def test_cells_carry_what_nbgrader_and_the_grader_read(course: Course) -> None:
    layout, week = course
    cells = notebooks.read(release.release(layout, week).notebook)["cells"]
    by_id = {cell["id"]: cell for cell in cells}
    gap, check = by_id["blend"]["metadata"]["nbgrader"], by_id["check-blend"]["metadata"]["nbgrader"]
    assert (gap["solution"], gap["grade"], gap["locked"]) == (True, False, False)
    assert (check["solution"], check["grade"], check["locked"], check["points"]) == (False, True, True, 4.0)
    assert by_id["experiment-a_long_look"]["metadata"]["experiment"] == "a_long_look"
    assert sum(cell["metadata"].get("nbgrader", {}).get("points", 0) for cell in cells) == sum(
        week.points.values()
    )


# -- the list of common mistakes -----------------------------------------------------------------------------


def test_common_mistakes_are_named_and_not_explained(course: Course) -> None:
    layout, week = course
    with week.notebook_source.open("a") as text:
        text.write('\n# %% [markdown] generated="common_mistakes"\n# ## Common mistakes\n')
    week = course_tree.again(layout)
    cells = notebooks.read(release.release(layout, week).notebook)["cells"]
    (cell,) = [cell for cell in cells if cell["metadata"].get("generated")]
    assert cell["source"].startswith("## Common mistakes\n\n<details><summary>blend: ")
    for exercise in week.exercises:
        for wrong in exercise.misconceptions:
            assert wrong.text.rstrip(".") in cell["source"]
            assert wrong.tell not in cell["source"]
            assert not set(wrong.caught_by) & set(re.findall(r"\w+", cell["source"]))


# -- a week that is not right is not released ----------------------------------------------------------------

BROKEN = {
    "a mark without its partner": (
        "    ### END SOLUTION\n\n    def forward",
        "    def forward",
        "without its partner",
    ),
    "no marks at all": (
        "    ### BEGIN SOLUTION\n    weights",
        "    weights",
        "without its partner",
    ),
    "a solution in a cell that is no exercise": (
        '# %% experiment="a_long_look"\n',
        '# %% experiment="a_long_look"\n### BEGIN SOLUTION\nx = 1\n### END SOLUTION\n',
        "no exercise; it would ship",
    ),
    "metadata that means nothing": (
        'experiment="a_long_look"',
        'experimnt="a_long_look"',
        "means nothing here",
    ),
    "a check without its exercise": ('exercise="masked_mean"', 'experiment="masked_mean"', ""),
    "two cells for one exercise": ('exercise="masked_mean"', 'exercise="blend"', "would be called blend"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_week_that_is_not_right_leaves_the_old_release(course: Course, name: str) -> None:
    layout, week = course
    release.release(layout, week)
    before = tree(layout.notebooks)
    old, new, sentence = BROKEN[name]
    rewrite(week, old, new)
    with pytest.raises(CourseBroken) as caught:
        release.release(layout, course_tree.again(layout))
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
    assert tree(layout.notebooks) == before


@pytest.mark.parametrize(
    "entry",
    ["hidden", "misconceptions/blend", "right/blend/expanded.py", "../week90_blending/hidden", "nothing.png"],
)
def test_what_must_stay_in_cannot_be_shipped_by_name(course: Course, entry: str) -> None:
    layout, week = course
    rewrite(week, "ships = []", f'ships = ["{entry}"]', "week.toml")
    with pytest.raises(CourseBroken, match="ships"):
        release.release(layout, course_tree.again(layout))
    assert not layout.notebooks.is_dir() or not tree(layout.notebooks)


def test_a_link_is_not_shipped(course: Course) -> None:
    layout, week = course
    (week.folder / "figures").mkdir()
    (week.folder / "figures" / "a.svg").symlink_to("/etc/hostname")
    rewrite(week, "ships = []", 'ships = ["figures"]', "week.toml")
    with pytest.raises(CourseBroken, match="must stay in"):
        release.release(layout, course_tree.again(layout))


def test_figures_ship_and_the_script_that_drew_them_does_not(course: Course) -> None:
    layout, week = course
    (week.folder / "figures").mkdir()
    (week.folder / "figures" / "a.svg").write_text("<svg/>")
    (week.folder / "figures" / "draw.py").write_text("print('drawn')")
    (week.folder / "notes.txt").write_text("for instructors")
    rewrite(week, "ships = []", 'ships = ["checks.py", "figures"]', "week.toml")
    release.release(layout, course_tree.again(layout))
    assert set(tree(layout.notebooks / week.id)) == {f"{week.id}.ipynb", "figures/a.svg"}


def test_a_release_that_was_killed_between_its_last_steps_is_healed(course: Course) -> None:
    layout, week = course
    release.release(layout, week)
    before = tree(layout.notebooks)
    place = layout.notebooks / week.id
    place.rename(place.with_name(f".{place.name}.old"))
    release.release(layout, week)
    assert tree(layout.notebooks) == before


# -- nothing secret ships ------------------------------------------------------------------------------------


def test_a_clean_release_leaks_nothing(course: Course) -> None:
    layout, week = course
    done = release.release(layout, week)
    assert release.leaks(layout, week, done.notebook.parent) == []
    assert release.leaks(layout, week, done.wheel) == []


def plant(cells: list[dict[str, Any]], where: str, text: str) -> None:
    if where == "prose":
        cells[0]["source"] += "\n\n" + text
    elif where == "code":
        cells[1]["source"] += "\n" + text
    elif where == "metadata":
        cells[1]["metadata"]["note"] = {"deep": [text]}
    elif where == "outputs":
        cells[1]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": [text]}]


SECRETS = {
    "a hidden check's name": "an_open_gate_blends",
    "a solution": "weights = keep.to(values.dtype)[:, :, None]\nreturn (values * weights).sum(dim=1)",
    "hidden checks' code": (
        "ours, theirs = build_pair(subject, reference, draw, 7)\n"
        "left, right = draw.normal(3, 7), draw.normal(3, 7)\n"
        'expect_same(ours(left, right), theirs(left, right), look="What does tanh do to a gate of 1?")'
    ),
}


@pytest.mark.parametrize("where", ["prose", "code", "metadata", "outputs"])
@pytest.mark.parametrize("secret", [*SECRETS, "a misconception's tell"])
def test_a_secret_is_found_wherever_it_stands(course: Course, where: str, secret: str) -> None:
    layout, week = course
    path = release.release(layout, week).notebook
    tell = week.exercises[0].misconceptions[0].tell
    assert tell
    notebook = json.loads(path.read_text())
    plant(notebook["cells"], where, SECRETS.get(secret, tell))
    path.write_text(json.dumps(notebook))
    assert release.leaks(layout, week, path.parent) != []


def test_a_secret_in_the_authored_notebook_stops_the_release(course: Course) -> None:
    layout, week = course
    rewrite(week, "# Average the rows", "# Think of an_open_gate_blends. Average the rows")
    with pytest.raises(CourseBroken, match="would give something away"):
        release.release(layout, course_tree.again(layout))
    assert not (layout.notebooks / week.id).exists()
    assert not list(layout.notebooks.glob(".*"))


def test_a_withheld_module_in_a_wheel_is_found(course: Course, tmp_path: Path) -> None:
    layout, week = course
    rewrite(week, "withhold = []", 'withhold = ["course_lib.stand_ins"]', "week.toml")
    week = course_tree.again(layout)
    wheel = tmp_path / "a.whl"
    shutil.copy(editions.wheel(layout, week), wheel)
    assert release.leaks(layout, week, wheel) == []
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.write(layout.course_lib / "stand_ins.py", "course_lib/other_name.py")
    assert [str(leak.where) for leak in release.leaks(layout, week, wheel)] == ["course_lib/other_name.py"]


# -- nbgrader knows it ---------------------------------------------------------------------------------------


def test_registering_twice_is_harmless_and_a_changed_week_says_so(course: Course) -> None:
    from grading import gradebook

    layout, week = course
    release.release(layout, week)
    release.register(layout, week)
    release.register(layout, week)
    with gradebook.opened(layout) as book:
        notebook = book.find_notebook(week.id, week.id)
        assert {cell.name: cell.max_score for cell in notebook.grade_cells} == {
            "check-blend": 4.0,
            "check-masked_mean": 2.0,
        }
        book.add_student("ann")
        book.add_submission(week.id, "ann")
    text = week.notebook_source.read_text()
    start, end = text.index('# %% exercise="masked_mean"'), text.index('# %% experiment="a_long_look"')
    week.notebook_source.write_text(text[:start] + text[end:])
    changed = course_tree.again(layout)
    release.release(layout, changed)
    with pytest.raises(CourseBroken, match="already holds submissions"):
        release.register(layout, changed)


# -- the course's own weeks ----------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("week", all_weeks(Layout(course_tree.ROOT)), ids=lambda week: week.id)
def test_the_committed_notebooks_are_what_the_sources_give(week: Week, tmp_path: Path) -> None:
    layout = Layout(course_tree.ROOT, tmp_path, tmp_path / "notebooks")
    release.release(layout, week)
    fresh = tree(layout.notebooks / week.id)
    release.release(layout, week)
    assert tree(layout.notebooks / week.id) == fresh
    assert tree(course_tree.ROOT / "notebooks" / week.id) == fresh, "run `make release`"


# What JupyterLab's "run all" does, without JupyterLab: one cell after another, until one raises.
RUN_ALL = """
import json, sys
import matplotlib
matplotlib.use("Agg")
names = {"__name__": "__main__", "display": print}
for number, cell in enumerate(json.load(open(sys.argv[1]))["cells"]):
    if cell["cell_type"] != "code":
        continue
    try:
        exec(compile(cell["source"], f"cell {number}", "exec"), names)
    except BaseException as problem:
        print(json.dumps([cell["id"], type(problem).__name__, str(problem)]))
        break
    if "parameters" in cell["metadata"].get("tags", []) and "FAST" in names:
        names["FAST"] = True
"""


def first_stop(notebook: Path, edition: Path) -> list[str]:
    """The cell at which "run all" stops, and why; outside the repository, on the learner's edition."""
    environment = {**os.environ, "PYTHONPATH": str(edition), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", RUN_ALL, str(notebook)],
        cwd=notebook.parent,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    stopped: list[str] = json.loads(done.stdout.splitlines()[-1])
    return stopped


def test_a_released_notebook_runs_to_its_first_gap(course: Course) -> None:
    layout, week = course
    done = release.release(layout, week)
    stopped = first_stop(done.notebook, editions.ensure(layout, week))
    # The fixture's class has its gap in a method, so its check is the first to say so.
    assert stopped[0] == "check-blend"
    assert "week 90, exercise blend" in stopped[2]


@pytest.mark.slow
@pytest.mark.parametrize("week", all_weeks(Layout(course_tree.ROOT)), ids=lambda week: week.id)
def test_a_weeks_notebook_runs_to_its_first_gap(week: Week, tmp_path: Path) -> None:
    layout = Layout(course_tree.ROOT, tmp_path, tmp_path / "notebooks")
    done = release.release(layout, week)
    where, _, why = first_stop(done.notebook, editions.ensure(layout, week))
    first = next(iter(week.points))
    assert where in (first, f"check-{first}")
    assert f"week {week.number}, exercise {first}" in why
