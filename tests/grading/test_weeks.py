"""Reading a week's folder: what is in it, and one sentence for what is wrong with it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from grading import weeks
from grading.errors import CourseBroken, UsageError
from grading.layout import Layout
from tests.fixtures import blending


@pytest.fixture
def course(tmp_path: Path) -> Layout:
    """A course whose only week is the tests' own."""
    shutil.copytree(
        blending.FOLDER,
        tmp_path / "solutions" / blending.FOLDER.name,
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    return Layout(tmp_path)


def changed(course: Layout, name: str, change: Callable[[str], str]) -> weeks.Week:
    path = course.solutions / "week90_blending" / name
    path.write_text(change(path.read_text()))
    return weeks.load_week(course.solutions / "week90_blending")


def test_a_week_is_read_as_its_folder_states_it(course: Layout) -> None:
    (week,) = weeks.all_weeks(course)
    assert (week.id, week.number, week.title, week.minutes) == ("week90_blending", 90, "Blending", 10)
    assert week.points == {"blend": 4.0, "masked_mean": 2.0}
    assert (week.limits.question_s, week.limits.open_files) == (5, 256)
    blend = week.exercise("blend")
    assert blend.subject == "Blend"
    assert [check.name for check in blend.checks if check.public] == [
        "the_output_has_the_shape_of_the_left_stream"
    ]
    assert len(blend.hidden_checks) == 3
    assert [one.name for one in blend.misconceptions] == ["gate_on_both", "sigmoid_gate", "starts_open"]


def test_a_misconceptions_docstring_gives_its_text_its_tell_and_its_catchers(course: Layout) -> None:
    one = weeks.find_week(course, "90").exercise("blend").misconceptions[2]
    assert one.text == "a gate starts at 1."
    assert one.tell.startswith("Your block is right once its weights are loaded, but a new one starts")
    assert one.caught_by == ("a_new_block_starts_closed",)


@pytest.mark.parametrize("name", ["week90_blending", "90", "week90", "week90_blending/"])
def test_a_week_is_found_by_id_number_or_start(course: Layout, name: str) -> None:
    assert weeks.find_week(course, name).id == "week90_blending"


def test_an_unknown_week_is_answered_with_a_guess(course: Layout) -> None:
    with pytest.raises(UsageError, match=r"no week 'week90_blendin'.*Did you mean week90_blending\?"):
        weeks.find_week(course, "week90_blendin")
    with pytest.raises(UsageError, match=r"no exercise 'blnd'.*Did you mean blend"):
        weeks.find_week(course, "90").exercise("blnd")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text.replace("minutes = 10\n", ""), "minutes"),
        (lambda text: "colour = 3\n" + text, "unknown keys .'colour'."),
        (lambda text: text.replace("cell_s", "cel_s"), "cel_s"),
        (lambda text: text.replace("week = 90", "week = 'x'"), "wrong type"),
        (lambda text: text + "]", "cannot be read"),
    ],
)
def test_a_wrong_week_toml_is_the_courses_fault(
    course: Layout, change: Callable[[str], str], words: str
) -> None:
    with pytest.raises(CourseBroken, match=words):
        changed(course, "week.toml", change)


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("hidden/blend.py", lambda text: text.replace("REFERENCE = Blend", ""), "names no REFERENCE"),
        ("hidden/blend.py", lambda text: text + "\n1 / 0\n", "does not import: ZeroDivisionError"),
        (
            "hidden/blend.py",
            lambda text: text.replace('@claim("blend"', '@claim("other"'),
            "another exercise",
        ),
        (
            "misconceptions/blend/sigmoid_gate.py",
            lambda text: text.replace("class Blend", "class Blind"),
            "defines no Blend",
        ),
    ],
)
def test_a_wrong_authored_file_is_the_courses_fault(
    course: Layout, name: str, change: Callable[[str], str], words: str
) -> None:
    path = course.solutions / "week90_blending" / name
    path.write_text(change(path.read_text()))
    week = weeks.find_week(course, "90")
    with pytest.raises(CourseBroken, match=words):
        assert week.exercises


def test_a_missing_hidden_file_is_the_courses_fault(course: Layout) -> None:
    (course.solutions / "week90_blending" / "hidden" / "blend.py").unlink()
    with pytest.raises(CourseBroken, match="missing"):
        assert weeks.find_week(course, "90").exercises


def test_the_suite_changes_with_anything_that_judges(course: Layout) -> None:
    before = weeks.find_week(course, "90").suite
    assert weeks.find_week(course, "90").suite == before
    for name in ("hidden/blend.py", "checks.py", "week.toml", "misconceptions/blend/sigmoid_gate.py"):
        assert changed(course, name, lambda text: text + "\n# a comment\n") is not None
        after = weeks.find_week(course, "90").suite
        assert after != before
        before = after


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("def f(): pass\nclass C: pass\nasync def g(): pass", {"f", "C", "g"}),
        ("x = 1\nif x:\n    def hidden(): pass", set()),
        ("%magic\ndef f(: pass", set()),
        ("def f(" + "(" * 500, set()),
        ("\x00", set()),
    ],
)
def test_names_a_cell_defines_are_read_without_running_it(source: str, names: set[str]) -> None:
    assert weeks.defines(source) == names
