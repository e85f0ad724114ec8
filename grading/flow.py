"""A class through grading: evaluate, record, feedback. The command line, the demo and the benchmark all go
this way.

Every step reads what the step before it left, and leaves its own; stopped anywhere, doing it again goes on
from there.
"""

import contextlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from grading import collect, editions, evaluation, feedback, gradebook, record, release
from grading.errors import GradingError, UsageError
from grading.layout import Layout
from grading.lock import locked
from grading.records import Verdict
from grading.sandbox import check as check_sandbox
from grading.sandbox import why_weaker
from grading.store import Store, load_secret, sweep, write_whole
from grading.weeks import Week

Progress = Callable[[str, int, int], None]  # (what is being done, how many are done, of how many)


class Stopped(GradingError):
    """Ctrl-C: nothing is lost, and the same command goes on."""

    exit_code = 1


@dataclass(frozen=True)
class Graded:
    """One submission after grading.

    Args:
        verdict: None if the grader itself failed twice; then `problem` says how, and there is no mark.
        stored: the verdict was there already.
        seconds: what judging took now.
        recorded: the gradebook holds the verdict.
        page: the feedback page.
    """

    student: str
    verdict: Verdict | None
    stored: bool
    seconds: float
    recorded: bool = False
    page: Path | None = None
    problem: str = ""


def submissions(layout: Layout, week: Week) -> dict[str, Path]:
    """What counts for each learner, by their id."""
    found = sorted(layout.submitted.glob(f"*/{week.id}/{week.id}.ipynb"))
    return {path.parent.parent.name: path for path in found}


def writable(layout: Layout) -> None:
    """Refuse early where nothing can be kept.

    Raises:
        UsageError: build/ or var/ cannot be made or written to.
    """
    for folder in (layout.build, layout.var):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            readable_only = not os.access(folder, os.W_OK | os.X_OK)
        except OSError:
            readable_only = True
        if readable_only:
            raise UsageError(
                f"{folder} cannot be written to; name a folder of your own with --scratch "
                "(or COURSE_SCRATCH), and build/ and var/ are kept there."
            )


def grade(
    layout: Layout,
    week: Week,
    *,
    workers: int = 2,
    sandbox: str = "bubblewrap",
    again: bool = False,
    progress: Progress = lambda what, done, of: None,
    say: Callable[[str], None] = lambda line: None,
) -> list[Graded]:
    """Judge, record and answer every submission that was taken in.

    Args:
        workers: submissions run at once.
        sandbox: the rung, or "best"; "none" runs strangers' code unprotected.
        again: judge anew what has a verdict already.

    Raises:
        UsageError: there is no submission, or nothing can be written.
        Stopped: Ctrl-C; what was judged is stored.
    """
    writable(layout)
    with locked(layout, say):
        sweep(layout.var, layout.build, layout.notebooks)
        found = submissions(layout, week)
        if not found:
            raise UsageError(
                f"no submission for {week.id} has been taken in; "
                f"run `course collect --week {week.number:02d} FOLDER` first."
            )
        if not (layout.notebooks / week.id / f"{week.id}.ipynb").is_file():
            say(f"{week.id} has no release yet; writing it")
            release.release(layout, week)
        graded: dict[str, Graded] = {}
        rung = check_sandbox(sandbox)
        weaker = why_weaker(sandbox, rung)
        if weaker:
            say(weaker)
        try:
            with _Recording(layout, week, len(found), again, progress) as recording:
                _evaluate(layout, week, found, graded, workers, rung, again, progress, recording.take)
            _record(graded, recording)
            _answer(layout, week, graded, progress)
        except KeyboardInterrupt:
            done = sum(one.verdict is not None for one in graded.values())
            raise Stopped(
                f"stopped: {done} of {len(found)} submissions are judged and kept; "
                "run the same command again, and it goes on from there."
            ) from None
        _review(layout, week, graded)
    return [graded[student] for student in sorted(graded)]


def verdicts(layout: Layout, week: Week) -> dict[str, Verdict]:
    """The verdicts of this week's submissions, as far as there are any, whatever sandbox they were run in."""
    store = Store(layout.verdicts)
    found = {}
    for student, path in submissions(layout, week).items():
        digest = evaluation.submission_hash(evaluation.read(path, week.limits))
        verdict = store.get(week.id, digest, week.suite)
        if verdict is not None:
            found[student] = verdict
    return found


def answer(layout: Layout, week: Week, given: Mapping[str, Verdict], progress: Progress) -> dict[str, Path]:
    """A feedback page for each verdict."""
    held = gradebook.held(layout, week)
    receipts = collect.receipts(layout, week)
    places = {}
    for number, (student, verdict) in enumerate(sorted(given.items())):
        progress("feedback", number, len(given))
        received = receipts[student][-1].received if receipts.get(student) else ""
        mine = held.get(student)
        total = mine.total if mine is not None and mine.adjusted else None
        places[student] = feedback.write(layout, week, student, verdict, received, total)
    progress("feedback", len(given), len(given))
    return places


def _evaluate(
    layout: Layout,
    week: Week,
    found: Mapping[str, Path],
    graded: dict[str, Graded],
    workers: int,
    sandbox: str,
    again: bool,
    progress: Progress,
    take: Callable[[str, Verdict | None], None],
) -> None:
    def keep(done: evaluation.Done) -> None:
        graded[done.item.name] = Graded(
            done.item.name, done.verdict, done.stored, done.seconds, problem=done.problem or ""
        )
        progress("judged", len(graded), len(found))
        take(done.item.name, done.verdict)

    progress("judged", 0, len(found))
    evaluation.evaluate_many(
        [evaluation.Item(student, path) for student, path in found.items()],
        week,
        editions.ensure(layout, week),
        store=Store(layout.verdicts),
        secret=load_secret(layout.secret),
        workers=workers,
        sandbox=sandbox,
        on_done=keep,
        again=again,
    )


class _Recording:
    """Records verdicts as they come, while the workers judge the next ones.

    A gradebook that fails ends no judging: verdicts are stored as before, and what went wrong is said after
    the last of them.
    """

    def __init__(self, layout: Layout, week: Week, count: int, again: bool, progress: Progress) -> None:
        self.layout, self.week, self.count, self.again, self.progress = layout, week, count, again, progress
        self.done: dict[str, record.Recorded] = {}
        self.problem: Exception | None = None
        self._one: Callable[[str, Verdict], record.Recorded] | None = None
        self._open = contextlib.ExitStack()

    def __enter__(self) -> "_Recording":
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def take(self, student: str, verdict: Verdict | None) -> None:
        """One more is judged; without a verdict there is nothing to record."""
        if verdict is None:
            self.count -= 1
            return
        if self.problem is not None:
            return
        try:
            if self._one is None:
                # Late, so that a gradebook that cannot be opened stands in nobody's way to a verdict.
                release.register(self.layout, self.week)
                one = record.recorder(self.layout, self.week, self.again)
                self._one = self._open.enter_context(one)
            self.done[student] = self._one(student, verdict)
        except Exception as problem:
            self.problem = problem
        else:
            self.progress("recorded", len(self.done), self.count)


def _record(graded: dict[str, Graded], recording: _Recording) -> None:
    if recording.problem is not None:
        raise recording.problem
    for student, done in recording.done.items():
        graded[student] = replace(graded[student], recorded=not done.problem, problem=done.problem)


def _answer(layout: Layout, week: Week, graded: dict[str, Graded], progress: Progress) -> None:
    given = {student: one.verdict for student, one in graded.items() if one.verdict is not None}
    for student, page in answer(layout, week, given, progress).items():
        graded[student] = replace(graded[student], page=page)


def _review(layout: Layout, week: Week, graded: Mapping[str, Graded]) -> None:
    """List what the grader could not do: no mark was given for it, and an instructor has to look."""
    path = layout.var / "review" / f"{week.id}.txt"
    lines = [f"{one.student}: {one.problem}" for _, one in sorted(graded.items()) if one.problem]
    if lines:
        write_whole(path, ("\n".join(lines) + "\n").encode("utf-8", "replace"))
    else:
        path.unlink(missing_ok=True)


def why(verdict: Verdict) -> str:
    """In a few words, where the marks went."""
    if verdict.exercises and all(one.outcome == "unreadable" for one in verdict.exercises):
        return verdict.notes[0] if verdict.notes else "the file is not a notebook"
    lost = [one for one in verdict.exercises if one.score < one.max]
    if not lost:
        odd = verdict.notes[0] if verdict.notes else ""
        return "everything right" + (f"; {odd[:69]}…" if len(odd) > 70 else f"; {odd}" if odd else "")
    groups: dict[str, list[str]] = {}
    for one in lost:
        reason = one.misconception.replace("_", " ") if one.misconception else one.outcome
        groups.setdefault(reason, []).append(one.id)
    parts = []
    for reason, names in groups.items():
        few = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        parts.append(f"{reason}: " + ("every exercise" if len(names) == len(verdict.exercises) else few))
    return "; ".join(parts)
