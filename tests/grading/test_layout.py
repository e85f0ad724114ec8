"""Where everything is, and how a course is found."""

from pathlib import Path

import pytest

from grading import layout
from grading.errors import UsageError
from grading.layout import Layout


def test_what_cannot_be_rebuilt_is_never_below_what_can(tmp_path: Path) -> None:
    course = Layout(tmp_path)
    precious = [course.inbox, course.submitted, course.verdicts, course.gradebook, course.secret]
    assert all(path.is_relative_to(course.var) for path in precious)
    assert not any(path.is_relative_to(course.build) for path in precious)
    rebuilt = [
        course.source,
        course.editions,
        course.autograded,
        course.feedback,
        course.reports,
        course.bench,
    ]
    assert all(path.is_relative_to(course.build) for path in rebuilt)


def test_a_scratch_folder_takes_everything_that_is_written(tmp_path: Path) -> None:
    course = Layout(tmp_path / "repository", scratch=tmp_path / "scratch", home_of_releases=tmp_path / "out")
    assert course.solutions.is_relative_to(course.root)
    for path in (course.build, course.var, course.gradebook, course.editions):
        assert path.is_relative_to(tmp_path / "scratch")
    assert course.notebooks == tmp_path / "out"
    assert course.gradebook_url == f"sqlite:///{course.gradebook}"


def test_a_course_is_found_from_inside_by_variable_or_as_the_installation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(layout.ROOT_VARIABLE, raising=False)
    for name in ("solutions/deep/deeper", "course_lib"):
        (tmp_path / "course" / name).mkdir(parents=True)
    inside = tmp_path / "course" / "solutions" / "deep" / "deeper"
    assert layout.find(inside).root == tmp_path / "course"
    monkeypatch.chdir(inside)
    assert layout.find().root == tmp_path / "course"
    installation = Path(layout.__file__).parent.parent
    assert layout.find(tmp_path).root == installation
    monkeypatch.setenv(layout.ROOT_VARIABLE, str(tmp_path / "course"))
    assert layout.find(tmp_path).root == tmp_path / "course"


def test_no_course_is_said_with_where_was_looked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(layout.ROOT_VARIABLE, raising=False)
    monkeypatch.setattr(layout, "__file__", str(tmp_path / "elsewhere" / "grading" / "layout.py"))
    with pytest.raises(UsageError, match=f"no course at {tmp_path}"):
        layout.find(tmp_path)
