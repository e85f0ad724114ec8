"""The doctor looks at everything and falls over nothing."""

from pathlib import Path

import pytest

from grading import doctor
from grading.layout import Layout
from tests.fixtures import course_tree


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return course_tree.make(tmp_path / "course")[0]


def finding(layout: Layout, word: str) -> doctor.Finding:
    (one,) = [found for found in doctor.examine(layout) if found.what.startswith(word)]
    return one


def test_a_broken_gradebook_is_a_finding(layout: Layout) -> None:
    assert finding(layout, "gradebook").ok
    layout.var.mkdir(exist_ok=True)
    layout.gradebook.write_bytes(b"no database" * 1000)
    assert any(not one.ok and "cannot be opened as a gradebook" in one.what for one in doctor.examine(layout))


def test_a_secret_that_everybody_can_read_is_a_finding(layout: Layout) -> None:
    layout.var.mkdir()
    layout.secret.write_bytes(b"x" * 32)
    layout.secret.chmod(0o644)
    assert any(not one.ok and "anybody" in one.what for one in doctor.examine(layout))
    layout.secret.chmod(0o600)
    assert not any("anybody" in one.what for one in doctor.examine(layout))


def test_a_week_that_cannot_be_read_is_a_finding_and_not_an_end(layout: Layout) -> None:
    (layout.solutions / "week90_blending" / "week.toml").write_text("week = ")
    findings = list(doctor.examine(layout))
    assert any(not one.ok and "week.toml cannot be read" in one.what for one in findings)
    assert len(findings) == 12


def test_a_package_unlike_the_lock_is_named(layout: Layout) -> None:
    (layout.root / "requirements.txt").write_text("torch==0.0.1\nrich==0.0.2\nnot-installed-here==1\n")
    found = finding(layout, "packages")
    assert found.ok
    assert "2 unlike requirements.txt: torch" in found.what


def test_the_repository_itself_is_well() -> None:
    bad = [
        one for one in doctor.examine(Layout(course_tree.ROOT)) if not one.ok and one.needed_for != "grade"
    ]
    assert bad == []
