"""Verdicts as text: the same verdict is the same bytes, and nothing else reads as one."""

import json
from typing import Any

import pytest

from grading.errors import CourseBroken
from grading.records import CheckRecord, ExerciseRecord, Verdict


def verdict(**changes: Any) -> Verdict:
    check = CheckRecord("it_holds", False, "It holds.", "naïve", "Look “there”.", True, 0.5)
    exercise = ExerciseRecord("one", 1.25, 4.0, "partly right", "a_mistake", "You did that.", [check])
    fields: dict[str, Any] = {
        "week": "week90_x",
        "score": 1.25,
        "max": 4.0,
        "sandbox": "bubblewrap",
        "submission": "a" * 64,
        "suite": "b" * 64,
        "seed": (1 << 53) - 1,
        "exercises": [exercise],
        "notes": ["Cell 1 raised."],
        "timings": {"total_s": 1.5},
    }
    return Verdict(**{**fields, **changes})


def test_what_is_written_is_read_back() -> None:
    assert Verdict.from_json(verdict().to_json()) == verdict()


def test_the_same_verdict_is_the_same_text_and_another_is_another() -> None:
    assert verdict().to_json() == verdict().to_json()
    assert verdict(score=1.0).to_json() != verdict().to_json()
    assert verdict().to_json().endswith("}\n")


def test_the_text_has_the_fields_that_the_command_line_promises() -> None:
    data = json.loads(verdict().to_json())
    assert {"week", "score", "max", "sandbox", "exercises"} <= set(data)
    assert {"id", "score", "max", "misconception", "checks", "outcome"} <= set(data["exercises"][0])
    assert {"name", "passed", "claim", "seen", "look", "public"} <= set(data["exercises"][0]["checks"][0])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"format": 2}',
        '{"format": 1, "exercises": []}',
        '{"format": 1, "exercises": [{}]}',
        "null",
    ],
)
def test_what_is_no_verdict_is_a_fault_of_ours(text: str) -> None:
    with pytest.raises(CourseBroken):
        Verdict.from_json(text)


def test_a_half_written_verdict_never_reads_as_one() -> None:
    text = verdict().to_json()
    for length in range(0, len(text) - 2, 7):
        with pytest.raises(CourseBroken):
            Verdict.from_json(text[:length])


def test_an_exercise_is_found_by_its_id() -> None:
    assert verdict().exercise("one").score == 1.25
    with pytest.raises(CourseBroken, match="no exercise two"):
        verdict().exercise("two")
