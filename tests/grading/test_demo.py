"""The demo's class is what it says it is, and grading gives every one of it what it must get."""

import re
from contextlib import nullcontext
from pathlib import Path

import pytest
from rich.console import Console

from grading import demo, gradebook, notebooks, release
from grading.layout import Layout
from grading.weeks import Answer, Week, all_weeks
from tests.fixtures import course_tree

Course = tuple[Layout, Week]


@pytest.fixture
def course(tmp_path: Path) -> Course:
    layout, week = course_tree.make(tmp_path / "course")
    release.release(layout, week)
    return layout, week


def quiet() -> "nullcontext[object]":
    return nullcontext(lambda what, done, of: None)


def test_the_class_has_everybody_that_the_demo_promises(course: Course) -> None:
    handed = list(demo.handed_in(*course))
    assert len(handed) >= 14
    assert len({one.student for one in handed}) == len(handed)
    kinds = " ".join(one.what for one in handed)
    for kind in (
        "solution",
        "another way",
        "untouched",
        "half done",
        "mix-up",
        "Colab",
        "metadata lost",
        "prints a lot",
        "early cell raises",
        "never ends",
        "kills its kernel",
        "tampers",
    ):
        assert kind in kinds
    full = sum(course[1].points.values())
    assert {one.expected for one in handed if one.what in ("the solution", "saved by Colab")} == {full}
    assert all(0 <= one.expected <= full for one in handed)
    assert all(one.expected < full for one in handed if "mix-up" in one.what)


def test_colabs_form_is_colabs(course: Course) -> None:
    found = demo.colab(course_tree.submission(course[1]))
    assert (found["nbformat"], found["nbformat_minor"]) == (4, 0)
    assert not any("id" in cell or "nbgrader" in cell["metadata"] for cell in found["cells"])


@pytest.mark.e2e
@pytest.mark.slow
def test_a_score_that_is_not_the_expected_one_is_said(
    course: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout, week = course
    raw = course_tree.as_file(course_tree.submission(week))
    wrong = demo.Handed("ada", "the solution", raw, 1.0)
    empty = demo.Handed("rosa", "an empty file", b"", 0.0)
    monkeypatch.setattr(demo, "handed_in", lambda layout, week: iter([wrong, empty]))
    console = Console(record=True, width=140)
    found = demo.run(layout, week, workers=1, sandbox="bubblewrap", console=console, bars=quiet)  # type: ignore[arg-type]
    assert found == ["ada"]
    assert "2 of 2 scores are the verdicts'" in console.export_text()


@pytest.mark.e2e
@pytest.mark.slow
def test_the_whole_demo_gives_everybody_what_they_must_get(course: Course) -> None:
    layout, week = course
    console = Console(record=True, width=140)
    wrong = demo.run(layout, week, workers=2, sandbox="bubblewrap", console=console, bars=quiet)  # type: ignore[arg-type]
    text = console.export_text()
    assert wrong == [], text
    place = Layout(layout.root, layout.build / "demo", layout.build / "demo" / "notebooks")
    held = gradebook.held(place, week)
    expected = {one.student: one.expected for one in demo.handed_in(place, week)}
    assert {name: one.total for name, one in held.items()} == pytest.approx(expected)
    for name in expected:
        assert (place.feedback / name / f"{week.id}.html").is_file()
        assert re.search(rf"^{name} ", text, re.MULTILINE)
    assert f"{len(expected)} of {len(expected)} scores" in text
    assert not layout.gradebook.exists(), "the demo keeps to its own gradebook"


# -- an answer in a cell is the answer in its file -----------------------------------------------------------

WEEKS = all_weeks(Layout(course_tree.ROOT))
IMPORTS = (
    "from collections.abc import Sequence\nimport torch\nimport torch.nn.functional as F\n"
    "from einops import rearrange, repeat\nfrom jaxtyping import Bool, Float, Int\n"
    "from torch import Tensor, nn\n"
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("week", "exercise"),
    [(week, name) for week in WEEKS for name in week.points],
    ids=lambda one: getattr(one, "id", one),
)
def test_what_is_borrowed_from_a_reference_travels_with_the_answer(
    week: Week, exercise: str, tmp_path: Path
) -> None:
    sources = demo._Sources(Layout(course_tree.ROOT, tmp_path), week)
    one = week.exercise(exercise)
    # Enough to show that borrowing works, for whoever borrows: the last of each kind.
    for kind, answers in (("misconceptions", one.misconceptions), ("right", one.right)):
        for answer in answers[-1:]:
            text = sources.of(kind, one, answer)
            assert not [name for name in sources.gone if name in text]
            names: dict[str, object] = {}
            exec(IMPORTS + text, names)
            assert demo.worth(one, Answer("cell", names[one.subject])) == demo.worth(one, answer)


def test_helpers_of_two_exercises_do_not_meet_in_one_notebook(course: Course) -> None:
    _, week = course
    first = "helper = 1\n\ndef reference():\n    return helper\n\nclass Blend:\n    of = reference\n"
    apart = demo._apart(first, week.exercise("blend"))
    assert "helper_of_blend = 1" in apart
    assert "return helper_of_blend" in apart
    assert "class Blend:" in apart
    assert notebooks.defines(apart) == {"reference_of_blend", "Blend"}
