"""Runs an exercise's checks over a subject, scores them, and names the misconception behind a wrong answer.

Works for any subject: an object in this process (calibration) or in a sandboxed kernel (grading). What comes
back from a subject is untrusted; no answer may raise out of here. A check that fails although nothing is
wrong with the answer is a fault of the course, and is raised, never scored: each failed check is put to the
reference.
"""

import dataclasses
import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from course_lib import checking, driver
from course_lib.checking import Ask, Check, Outcome, Subject
from course_lib.errors import SubjectError
from grading import harmless
from grading.ask import NoAnswer
from grading.errors import CourseBroken
from grading.records import CheckRecord, ExerciseRecord, Result
from grading.weeks import Answer, Exercise

SEEN_CAP = 400
LIMIT_LOOK = "Run it alone in a fresh kernel: does it need so much, or does it never give back what it took?"
LONG, BEGINNING = 100, 12  # answers in a conversation; of one that is longer, the first are compared
CALLABLE_TYPES = ("function", "partial", "builtin_function_or_method")


@dataclass
class _Run:
    """One check over one subject, with everything the subject answered."""

    outcome: Outcome
    transcript: list[Any] = field(default_factory=list)


class _Differs(Exception):
    """An answer is not the one that was expected at its place."""


class _Enough(Exception):
    """All that was expected has come."""


class _Alike(list[Any]):
    """A transcript that takes no answer but the expected one, and ends with the last of them.

    Args:
        expected: the answers to compare with, one by one.
        reference: what the reference answers; see `_same`.
    """

    def __init__(self, expected: Sequence[Any], reference: Sequence[Any]) -> None:
        super().__init__()
        self.expected, self.reference = expected, reference

    def append(self, reply: Any) -> None:
        place = len(self)
        if not _same([self.expected[place]], [reply], self.reference[place : place + 1]):
            raise _Differs
        super().append(reply)
        if len(self) == len(self.expected):
            raise _Enough


class Known:
    """What the course's own answers do under the checks of one exercise and seed; each is run once.

    Args:
        seed: the submission's.
    """

    def __init__(self, exercise: Exercise, seed: int) -> None:
        self.exercise = exercise
        self.seed = seed
        self._runs: dict[tuple[str, int], _Run] = {}

    def answers_as(self, run: _Run, candidate: Answer, reference: Sequence[Any]) -> bool:
        """Whether a misconception fails a check by the same answers as a subject did.

        Of a long conversation, such as a training, only the beginning is held and compared. Later answers
        follow from earlier ones, and differences of rounding have grown in them. That the misconception
        fails in the end, its file says.
        """
        check = run.outcome.check
        if len(run.transcript) <= LONG:
            other = self.run(check, candidate.found)
            return not other.outcome.passed and _same(run.transcript, other.transcript, reference)
        transcript = _Alike(run.transcript[:BEGINNING], reference)
        try:
            _run(self.exercise, check, here(candidate.found, self.exercise)(), self.seed, transcript)
        except _Enough:
            return check.name in candidate.caught_by
        except Exception:
            return False
        return False

    def run(self, check: Check, found: Any) -> _Run:
        key = (check.name, id(found))
        if key not in self._runs:
            try:
                self._runs[key] = _run(self.exercise, check, here(found, self.exercise)(), self.seed)
            except Exception as problem:
                seen = f"{type(problem).__name__}: {problem}"
                self._runs[key] = _Run(Outcome(check, False, seen), [])
        return self._runs[key]


def judge(
    exercise: Exercise, connect: Callable[[], Ask], seed: int, known: Known | None = None
) -> ExerciseRecord:
    """Judge one exercise.

    Args:
        connect: gives the way to ask the subject's kernel; called once, and may raise NoAnswer.
        seed: the submission's; each check draws from a seed of its own derived from it.
        known: for judging many subjects with one seed.

    Raises:
        CourseBroken: the reference fails one of the checks that the subject failed.
    """
    try:
        ask = connect()
        absent = _absent(exercise, ask)
    except NoAnswer as problem:
        return _record(exercise, [], problem)
    if absent is not None:
        look = f"Is the cell that defines {exercise.subject} there, does it run, and is the name spelt so?"
        outcomes = [Outcome(check, False, absent, look) for check in exercise.checks]
        return _record(exercise, outcomes, None, "missing")

    known = known or Known(exercise, seed)
    runs: list[_Run] = []
    broke: NoAnswer | None = None
    for check in exercise.checks:
        try:
            run = _judged(exercise, check, ask, seed)
        except NoAnswer as problem:
            broke = problem
            break
        if not run.outcome.passed:
            _trust(known, check)
        runs.append(run)
    outcomes = [run.outcome for run in runs]
    written = any(not outcome.not_written for outcome in outcomes)
    answer = None
    if written and broke is None:
        answer = diagnose(runs, known)
    result: Result | None = "not written" if runs and not written and broke is None else None
    return _record(exercise, outcomes, broke, result, answer)


def here(found: Any, exercise: Exercise) -> Callable[[], Ask]:
    """A way to ask an object of this very process."""
    return lambda: driver.in_process(exercise.subject, found)


def check_seed(seed: int, exercise: str, check: str) -> int:
    """Fresh inputs for every check, repeatable from the verdict's seed."""
    digest = hashlib.sha256(f"{seed}/{exercise}/{check}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def diagnose(runs: Sequence[_Run], known: Known) -> Answer | None:
    """The first misconception that answers every failed check's questions as the subject did."""
    failed = [run for run in runs if not run.outcome.passed]
    if not failed:
        return None
    references = [known.run(run.outcome.check, known.exercise.reference) for run in failed]
    for candidate in known.exercise.misconceptions:
        for run, reference in zip(failed, references, strict=True):
            if not known.answers_as(run, candidate, reference.transcript):
                break
        else:
            return candidate
    return None


def _absent(exercise: Exercise, ask: Ask) -> str | None:
    """Why there is nothing to check, as a clause for the learner; None when there is."""
    subject = Subject(exercise.subject, ask)
    try:
        what, kind = subject.describe()
    except SubjectError as problem:
        return _plain(f"the kernel could not say what {exercise.subject} is ({problem})")
    if what == "missing":
        return f"the notebook defines no {exercise.subject}"
    wants_class = isinstance(exercise.reference, type)
    if what == "class" and wants_class:
        return None
    if what == "function" and (not wants_class or kind in CALLABLE_TYPES):
        return None
    asked = "a class" if wants_class else "a function"
    found = "a class" if what == "class" else f"an object of type {kind}"
    return _plain(f"{exercise.subject} is {found}, where {asked} is asked for")


def _run(exercise: Exercise, check: Check, ask: Ask, seed: int, transcript: list[Any] | None = None) -> _Run:
    transcript = [] if transcript is None else transcript
    subject = Subject(exercise.subject, ask, transcript)
    reference = Subject.here(exercise.subject, exercise.reference)
    outcome = checking.run_check(check, subject, reference, check_seed(seed, exercise.id, check.name))
    last = transcript[-1] if transcript else {}
    if not outcome.passed and "limit" in last:
        outcome = dataclasses.replace(outcome, seen=last["limit"], look=LIMIT_LOOK)
    return _Run(outcome, transcript)


def _judged(exercise: Exercise, check: Check, ask: Ask, seed: int) -> _Run:
    """One check over a stranger's subject; only NoAnswer is raised."""
    transcript: list[Any] = []
    try:
        return _run(exercise, check, ask, seed, transcript)
    except NoAnswer:
        raise
    except Exception as problem:
        # The check's own code tripped, over an answer of a kind that nobody foresaw, or over its own mistake;
        # which of the two, the reference tells.
        seen = f"an answer of a kind that cannot be compared ({type(problem).__name__})"
        look = "What does the exercise ask you to return: a tensor, or something else?"
        return _Run(Outcome(check, False, seen, look), transcript)


def _trust(known: Known, check: Check) -> None:
    """A check that even the reference fails says nothing about the subject."""
    outcome = known.run(check, known.exercise.reference).outcome
    if not outcome.passed:
        raise CourseBroken(
            f"the reference of {known.exercise.id} fails its own check {check.name} with seed {known.seed} "
            f"({outcome.seen}); nothing was scored."
        )


def _same(left: Sequence[Any], right: Sequence[Any], reference: Sequence[Any]) -> bool:
    """Whether two subjects answered alike.

    Two errors are alike in kind where the reference raises too. Elsewhere their texts count as well: many
    mistakes end in a RuntimeError, and most of those have nothing to do with each other.
    """
    if len(left) != len(right):
        return False
    for place, (ours, theirs) in enumerate(zip(left, right, strict=True)):
        if not checking.same_behaviour([ours], [theirs]):
            return False
        expected = reference[place] if place < len(reference) else {"ok": True}
        if not ours.get("ok") and expected.get("ok") and ours.get("message") != theirs.get("message"):
            return False
    return True


def _record(
    exercise: Exercise,
    outcomes: Sequence[Outcome],
    broke: NoAnswer | None,
    result: Result | None = None,
    answer: Answer | None = None,
) -> ExerciseRecord:
    """Points are the passed checks' share of the weights. A check that could not be asked is not passed."""
    asked = list(outcomes)
    if broke is not None:
        look = "Run this exercise alone in a fresh kernel: does it come back, and quickly?"
        for place, check in enumerate(exercise.checks[len(asked) :]):
            asked.append(Outcome(check, False, broke.seen if place == 0 else "not asked any more", look))
    weights = sum(check.weight for check in exercise.checks)
    passed = sum(outcome.check.weight for outcome in asked if outcome.passed)
    if result is None:
        result = "right" if passed == weights else "partly right" if passed else "not right"
        if broke is not None:
            result = "too slow" if broke.slow else "crashed"
    return ExerciseRecord(
        id=exercise.id,
        score=round(exercise.points * passed / weights, 2),
        max=exercise.points,
        outcome=result,
        misconception=answer.name if answer else None,
        tell=answer.tell if answer else None,
        checks=[
            CheckRecord(
                name=outcome.check.name,
                passed=outcome.passed,
                claim=outcome.check.claim,
                seen=_plain(outcome.seen),
                look=outcome.look,
                public=outcome.check.public,
                weight=outcome.check.weight,
            )
            for outcome in asked
        ],
    )


def _plain(text: str) -> str:
    return tidy(text, SEEN_CAP)


def tidy(text: str, longest: int) -> str:
    """A stranger's text on one line, without terminal escapes and without what differs from run to run."""
    return re.sub(r"\b0x[0-9a-fA-F]{6,}\b", "0x…", " ".join(harmless.text(text, longest).split()))
