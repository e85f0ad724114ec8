"""A feedback page says everything a learner needs, nothing they must not know, and runs nothing."""

import base64
import dataclasses
import hashlib
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from grading import feedback, pages, release
from grading.layout import Layout
from grading.records import Verdict
from grading.weeks import Week
from tests.fixtures import course_tree

Course = tuple[Layout, Week]
ALIVE = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'><svg onload=alert(1)>\x1b[31m"


@pytest.fixture
def course(tmp_path: Path) -> Course:
    layout, week = course_tree.make(tmp_path / "course")
    release.release(layout, week)
    return layout, week


class Elements(HTMLParser):
    """Every element of a page, with its attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def page(course: Course, answers: dict[str, str] | None = None, **changes: object) -> tuple[str, Verdict]:
    layout, week = course
    raw = course_tree.as_file(course_tree.submission(week, answers))
    course_tree.hand_in(layout, week, "ann", raw)
    verdict = dataclasses.replace(course_tree.verdict(week, raw), **changes)  # type: ignore[arg-type]
    return feedback.write(layout, week, "ann", verdict, "2026-01-30 15:00:00 UTC").read_text(), verdict


def misconception(week: Week, exercise: str, name: str) -> str:
    return (week.folder / "misconceptions" / exercise / f"{name}.py").read_text()


def test_a_page_says_what_was_earned_seen_and_meant(course: Course) -> None:
    _, week = course
    text, verdict = page(course, {"blend": misconception(week, "blend", "sigmoid_gate")})
    seen = Elements(text)
    blend = verdict.exercise("blend")
    assert blend.misconception == "sigmoid_gate"
    words = " ".join(seen.text.split())
    assert f"{verdict.score:g} of 6 points" in words
    for part in [
        str(blend.tell),
        *[c.claim for c in blend.checks],
        *[c.look for c in blend.checks if not c.passed],
    ]:
        assert " ".join(part.split()).replace("`", "") in words
    assert verdict.submission in words
    assert "2026-01-30 15:00:00 UTC" in words


def test_a_page_says_what_a_passed_check_measured(course: Course) -> None:
    _, week = course
    plain, verdict = page(course)
    one = verdict.exercises[0]
    checks = [dataclasses.replace(one.checks[0], seen="61.5% are right"), *one.checks[1:]]
    more = dataclasses.replace(
        verdict, exercises=[dataclasses.replace(one, checks=checks), *verdict.exercises[1:]]
    )
    assert "Measured" not in plain
    assert "Measured: 61.5% are right." in feedback.page(week, "ann", more, {}, "")


def test_a_page_keeps_the_seed_and_the_hidden_checks_to_itself(course: Course) -> None:
    layout, week = course
    seed = 987_654_321_234
    wrong = {"blend": "class Blend(nn.Module):\n    pass", "masked_mean": "masked_mean = max"}
    text, _ = page(course, wrong, seed=seed)
    assert str(seed) not in text
    for exercise in week.exercises:
        for check in exercise.hidden_checks:
            assert check.name not in text
    found = release._Secrets(layout, week).inside("page", Elements(text).text)
    assert [leak for leak in found if not leak.what.startswith("what a learner is told")] == []


@pytest.mark.parametrize("where", ["notes", "seen", "code", "student", "name"])
def test_nothing_that_a_stranger_wrote_is_alive_on_the_page(course: Course, where: str) -> None:
    _, week = course
    clean, verdict = page(course)
    if where == "notes":
        verdict = dataclasses.replace(verdict, notes=[f"Cell 1 ({ALIVE}) raised."])
    elif where == "seen":
        one = verdict.exercises[0]
        checks = [dataclasses.replace(check, passed=False, seen=ALIVE, look=ALIVE) for check in one.checks]
        verdict = dataclasses.replace(
            verdict, exercises=[dataclasses.replace(one, checks=checks), *verdict.exercises[1:]]
        )
    code = {"blend": f"# {ALIVE}\n"} if where == "code" else {}
    student = ALIVE if where == "student" else "ann"
    received = ALIVE if where == "name" else ""
    text = feedback.page(week, student, verdict, code, received)
    allowed = {tag for tag, _ in Elements(clean).found} | {
        "details",
        "summary",
        "pre",
        "code",
        "dl",
        "dt",
        "dd",
        "ul",
        "li",
    }
    for tag, attributes in Elements(text).found:
        assert tag in allowed
        assert not [
            name for name in attributes if name.startswith("on") or name in ("src", "style", "srcdoc")
        ]
        assert str(attributes.get("href", "#")).startswith("#")
    assert "\x1b" not in text
    if where != "name":
        assert "&lt;script&gt;" in text


def test_the_policy_lets_nothing_load_and_only_this_style_apply(course: Course) -> None:
    text, _ = page(course)
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', text)
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    # Nothing on the page needs what the policy forbids.
    assert not re.search(r"""(?:src|href)=["']?(?:https?:|//|data:)""", text)
    assert "url(" not in style


def test_every_picture_has_words_and_every_heading_its_level(course: Course) -> None:
    text, _ = page(course)
    found = Elements(text).found
    assert all(attributes.get("aria-label") for tag, attributes in found if tag == "svg")
    levels = [int(tag[1]) for tag, _ in found if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert dict(found)["html"]["lang"] == "en"


def test_an_unreadable_file_is_answered_too(course: Course) -> None:
    layout, week = course
    _, verdict = page(course)
    nothing = [
        dataclasses.replace(one, score=0.0, outcome="unreadable", checks=[]) for one in verdict.exercises
    ]
    verdict = dataclasses.replace(verdict, exercises=nothing, score=0.0, notes=["The file is empty."])
    course_tree.hand_in(layout, week, "ann", b"")
    text = feedback.write(layout, week, "ann", verdict).read_text()
    assert "The file is empty." in text
    assert "could not be read as a notebook" in text


def test_an_adjusted_score_is_said_and_an_equal_one_is_not(course: Course) -> None:
    _, week = course
    _, verdict = page(course)
    assert "by hand" in feedback.page(week, "ann", verdict, {}, total=verdict.score - 1)
    assert "by hand" not in feedback.page(week, "ann", verdict, {}, total=verdict.score)


def test_titles_are_the_headings_above(course: Course) -> None:
    assert pages.titles(course[1]) == {"blend": "A gate", "masked_mean": "An average"}


def test_names_in_code_are_shown_as_code_and_nothing_else() -> None:
    assert pages.prose("Is `alpha` < 1 & <b>?") == "Is <code>alpha</code> &lt; 1 &amp; &lt;b&gt;?"
