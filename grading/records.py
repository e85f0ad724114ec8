"""The record of a judgement, as every stage after evaluate reads it.

A verdict is plain data. Written twice from the same submission, suite and seed it is the same bytes, apart
from `timings`.
"""

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from grading.errors import CourseBroken

FORMAT = 1
RUNGS = ("bubblewrap", "landlock", "bubblewrap-only", "none")  # the sandbox's, strongest first

Result = Literal[
    "right",  # every check passed
    "partly right",
    "not right",
    "not written",  # the gap still raises NotImplementedError
    "missing",  # the notebook defines no such name, or something that is not a class or function
    "too slow",  # a question ran over its time
    "crashed",  # the kernel died while this exercise was asked
    "unreadable",  # the submission is not a notebook at all
]


@dataclass(frozen=True)
class CheckRecord:
    """What one check found. `seen` never holds an expected value."""

    name: str
    passed: bool
    claim: str
    seen: str
    look: str
    public: bool
    weight: float


@dataclass(frozen=True)
class ExerciseRecord:
    """The judgement of one exercise.

    Args:
        outcome: see `Result`.
        misconception: name of the misconception whose behaviour equals the learner's, or None.
        tell: the sentence for the learner that goes with it.
    """

    id: str
    score: float
    max: float
    outcome: Result
    misconception: str | None
    tell: str | None
    checks: list[CheckRecord]


@dataclass(frozen=True)
class Verdict:
    """The judgement of one submission.

    Args:
        week: the week's id.
        submission: sha256 of the notebook's bytes.
        suite: sha256 of everything that judged it: checks, references, limits, this harness.
        seed: the secret seed from which every hidden input was drawn; with it a verdict can be repeated.
        sandbox: the sandbox's rung, one of `RUNGS`.
        notes: what the kernel did, in sentences for the learner: cells that raised, ran over time, or
            killed it.
        timings: seconds by stage; the only part that differs between two evaluations.
    """

    week: str
    score: float
    max: float
    sandbox: str
    submission: str
    suite: str
    seed: int
    exercises: list[ExerciseRecord]
    notes: list[str] = field(default_factory=list)
    timings: dict[str, float] = field(default_factory=dict)
    format: int = FORMAT

    def exercise(self, exercise_id: str) -> ExerciseRecord:
        for exercise in self.exercises:
            if exercise.id == exercise_id:
                return exercise
        raise CourseBroken(f"the verdict for {self.week} has no exercise {exercise_id}.")

    def to_json(self) -> str:
        """Sorted keys, two spaces, a newline at the end: the same verdict is the same text."""
        return json.dumps(asdict(self), indent=2, sort_keys=True, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Verdict":
        """Read what `to_json` wrote.

        Raises:
            CourseBroken: the text is not a verdict of this format.
        """
        try:
            data: dict[str, Any] = json.loads(text)
            if data["format"] != FORMAT:
                raise CourseBroken(
                    f"a verdict of format {data['format']} was found; this version reads {FORMAT}."
                )
            exercises = [
                ExerciseRecord(**{**one, "checks": [CheckRecord(**check) for check in one["checks"]]})
                for one in data["exercises"]
            ]
            return cls(**{**data, "exercises": exercises})
        except (ValueError, KeyError, TypeError) as problem:
            if isinstance(problem, CourseBroken):
                raise
            raise CourseBroken(
                f"a stored verdict cannot be read ({problem}); delete it and grade again."
            ) from None
