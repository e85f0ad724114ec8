"""Evaluate: a submission's bytes, a week, an edition and a seed become a verdict. Nothing else goes in.

The notebook runs in a sandboxed kernel; hidden checks, references and expected values stay in this process. A
learner's failure is scored, with a reason. A failure of ours is raised, and never scored.
"""

import functools
import hashlib
import hmac
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from course_lib.checking import Ask
from grading import notebooks
from grading.ask import Conversation, NoAnswer
from grading.box import sweep
from grading.errors import SubmissionError
from grading.judge import judge, tidy
from grading.kernel import CellEnd, Kernel
from grading.limits import Limits
from grading.parent import why_cold
from grading.records import CheckRecord, ExerciseRecord, Verdict
from grading.sandbox import check as check_sandbox
from grading.session import Session
from grading.store import Store
from grading.weeks import Exercise, Week, defines, load_week
from grading.workers import Pool

NOTES_CAP = 12
WARM_FROM = 3  # submissions a worker
SILENT = (
    "NotImplementedError",
    "CheckFailure",
)  # a gap, a public check: the exercises tell


def read(path: Path, limits: Limits) -> bytes:
    """A submission's bytes.

    Raises:
        SubmissionError: it is missing, a folder, a link, or larger than a notebook may be.
    """
    return notebooks.load_bytes(path, limits.notebook_mb)


def submission_hash(notebook: bytes) -> str:
    return hashlib.sha256(notebook).hexdigest()


def seed_for(secret: bytes, submission: str, suite: str) -> int:
    """The seed of a submission's hidden inputs: known to nobody before, and always the same.

    53 bits, so that every reader of JSON keeps all of them.
    """
    digest = hmac.new(secret, f"{submission}/{suite}".encode(), hashlib.sha256).digest()
    return int.from_bytes(digest[:8], "big") >> 11


def evaluate(
    notebook: bytes, week: Week, edition: Path, *, seed: int, sandbox: str = "bubblewrap", warm: bool = False
) -> Verdict:
    """Run a submission and judge it.

    Args:
        edition: a folder with the learner's course_lib; the kernel has no other.
        seed: from `seed_for`; with the verdict's own, the verdict can be repeated.
        sandbox: a rung of `grading.sandbox`. "none" runs a stranger's code unprotected.
        warm: fork kernels from a warm parent, where this machine lets one; it is started on first use and
            stays. Dearer for one submission, much cheaper from the third on. The verdict is the same.

    Raises:
        SubmissionError: the bytes are not a notebook.
        SandboxError: the sandbox is missing, or does not hold.
        CourseBroken: a reference fails its own check.
    """
    cells = notebooks.read(notebook, week.limits.notebook_mb)["cells"]
    exercises = week.exercises
    rung = check_sandbox(sandbox)
    imports = week.imports if warm and why_cold(rung, edition, week.imports) is None else None
    session = Session(cells, _experiments(cells, week), edition, week.limits, rung, imports)
    records: list[ExerciseRecord] = []
    started = time.monotonic()
    try:
        interview = _Interview(session)
        for exercise in exercises:
            ran_everything = not session.only_definitions
            record = judge(exercise, interview.connect, seed)
            refused = interview.look_back(record)
            taken = refused and any(end.limit for end in session.ends.values())
            if (record.outcome == "crashed" or taken) and ran_everything:
                # The exercise may be innocent: what ended the kernel can have been started by any cell, and a
                # cell that met a limit may hold all that there was.
                session.definitions_only()
                session.renew()
                record = judge(exercise, interview.connect, seed)
                interview.look_back(record)
            records.append(record)
    finally:
        session.close()
    return Verdict(
        week=week.id,
        score=round(sum(record.score for record in records), 2),
        max=round(sum(record.max for record in records), 2),
        sandbox=rung,
        submission=submission_hash(notebook),
        suite=week.suite,
        seed=seed,
        exercises=records,
        notes=_notes(session, cells),
        timings={
            "cells_s": round(interview.cells_s, 3),
            "questions_s": round(time.monotonic() - started - interview.cells_s, 3),
            "total_s": round(time.monotonic() - started, 3),
            "kernels": session.starts,
        },
    )


def unreadable(
    week: Week, submission: str, reason: str, *, seed: int, sandbox: str = "bubblewrap"
) -> Verdict:
    """The verdict on a file that is no notebook: no marks, and the sentence that says why."""

    def nothing(exercise: Exercise) -> ExerciseRecord:
        checks = [
            CheckRecord(
                check.name,
                False,
                check.claim,
                "the file is not a notebook",
                reason,
                check.public,
                check.weight,
            )
            for check in exercise.checks
        ]
        return ExerciseRecord(exercise.id, 0.0, exercise.points, "unreadable", None, None, checks)

    records = [nothing(exercise) for exercise in week.exercises]
    total = round(sum(record.max for record in records), 2)
    return Verdict(week.id, 0.0, total, sandbox, submission, week.suite, seed, records, [tidy(reason, 400)])


class _Interview:
    """Connects the judge to whatever kernel is alive, and lets go of one that broke."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.cells_s = 0.0
        self._open: Conversation | None = None

    def connect(self) -> Ask:
        kernel = self._kernel()
        if self._open is None or self._open.kernel is not kernel:
            try:
                self._open = self._talk(kernel)
            except NoAnswer:
                if self.session.only_definitions:
                    raise
                # No exercise was asked yet: what keeps the kernel from answering is something else in it.
                self.session.lose()
                self.session.definitions_only()
                self._open = self._talk(self._kernel())
        return self._open

    def _kernel(self) -> Kernel:
        started = time.monotonic()
        kernel = self.session.kernel()
        self.cells_s += time.monotonic() - started
        return kernel

    def _talk(self, kernel: Kernel) -> Conversation:
        session = self.session
        return Conversation(kernel, session.limits, session.deadline, session.cpu_left_s())

    def look_back(self, record: ExerciseRecord) -> bool:
        """Let go of a kernel that the next exercise cannot be asked in. True if a limit refused something."""
        refused = self._open is not None and self._open.refusals > 0
        if record.outcome in ("too slow", "crashed"):
            self._open = None
            self.session.lose()
        elif refused:
            # What this exercise took, it may hold; the next one starts with all of it free.
            self._open = None
            self.session.renew()
        return refused


def _experiments(cells: list[dict[str, Any]], week: Week) -> set[int]:
    """Places of cells that train and plot: no exercise needs them. A cell that defines a subject is run."""
    subjects = {exercise.subject for exercise in week.exercises}
    released = {cell["source"].strip() for cell in week.cells() if "experiment" in cell["metadata"]}
    places = set()
    for place, cell in enumerate(cells):
        ours = cell["metadata"].get("course")
        marked = "experiment" in cell["metadata"] or (isinstance(ours, dict) and "experiment" in ours)
        if (marked or cell["source"].strip() in released) and not defines(cell["source"]) & subjects:
            places.add(place)
    return places


def _notes(session: Session, cells: list[dict[str, Any]]) -> list[str]:
    """What the kernel did, in sentences for the learner."""
    notes = []
    for place, end in sorted(session.ends.items()):
        if end.kind in SILENT:
            continue
        first = next((line.strip() for line in cells[place]["source"].splitlines() if line.strip()), "")
        notes.append(f"Cell {place + 1} ({tidy(first, 60)}) {_what_happened(end, session.limits)}.")
    more = len(notes) - NOTES_CAP
    notes = notes[:NOTES_CAP] + ([f"And {more} more."] if more > 0 else [])
    if session.only_definitions:
        notes.append(
            "Something in this notebook kept ending its kernel or stopping it, "
            "so only the cells that import and define were run."
        )
    return notes


def _what_happened(end: CellEnd, limits: Limits) -> str:
    if end.status == "late":
        most = "" if end.limit == "submission_output_kb" else "most of "
        return f"was not run: the cells before it used {most}{limits.used_up(end.limit)}"
    if end.limit:
        then = {"slow": ", and was interrupted", "dead": ", and was left out with its kernel"}
        return limits.over(end.limit) + then.get(end.status, "")
    if end.status == "raised":
        return f"raised {tidy(f'{end.kind}: {end.message}' if end.message else end.kind, 160)}"
    return f"ended the kernel: {tidy(end.kind, 160)}; it was left out"


# -- a whole class ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Item:
    """One submission to evaluate.

    Args:
        name: the caller's, such as a learner's id; handed back untouched.
        path: the notebook.
    """

    name: str
    path: Path


@dataclass(frozen=True)
class Done:
    """What became of an item.

    Args:
        verdict: None if the grader itself failed, twice. That is never a mark; `problem` says what happened.
        stored: the verdict was there already.
        seconds: wall time of this evaluation; 0 for a stored one.
    """

    item: Item
    verdict: Verdict | None
    problem: str | None = None
    stored: bool = False
    seconds: float = 0.0


def evaluate_many(
    items: Sequence[Item],
    week: Week,
    edition: Path,
    *,
    store: Store,
    secret: bytes,
    workers: int = 2,
    sandbox: str = "bubblewrap",
    on_done: Callable[[Done], None] | None = None,
    again: bool = False,
) -> list[Done]:
    """Evaluate a class, each submission once, each verdict stored as soon as it is there.

    Stopped at any moment, by Ctrl-C or by a power cut, it can be called again and goes on where it was.

    Args:
        workers: processes side by side; one a core is right.
        on_done: called in this process, after the verdict is stored, in the order in which they are ready.
        again: evaluate even what is stored.

    Raises:
        SandboxError: the sandbox is missing, or does not hold. Nothing was run.
        CourseBroken: the week cannot be judged. Nothing was run.
    """
    rung = check_sandbox(sandbox)
    assert week.exercises  # authored code that does not load is said now, not once a submission
    sweep()
    done: dict[int, Done] = {}
    waiting: dict[str, list[int]] = {}
    jobs: dict[str, dict[str, Any]] = {}

    def finish(place: int, one: Done) -> None:
        done[place] = one
        if on_done is not None:
            on_done(one)

    for place, item in enumerate(items):
        try:
            notebook, reason = read(item.path, week.limits), None
        except SubmissionError as problem:
            notebook, reason = _whatever_is_there(item.path), str(problem)
        submission = submission_hash(notebook)
        seed = seed_for(secret, submission, week.suite)
        found = None if again else store.get(week.id, submission, week.suite, rung)
        if found is None and reason is not None:
            found = unreadable(week, submission, reason, seed=seed, sandbox=rung)
            store.put(found)
            finish(place, Done(item, found))
        elif found is not None:
            finish(place, Done(item, found, stored=True))
        else:
            waiting.setdefault(submission, []).append(place)
            jobs[submission] = {
                "path": str(item.path.absolute()),
                "submission": submission,
                "week": str(week.folder.absolute()),
                "edition": str(edition.absolute()),
                "seed": seed,
                "sandbox": rung,
            }
    for job in jobs.values():
        # Every worker has a parent of its own, which has to be paid for by what it forks.
        job["warm"] = len(jobs) >= WARM_FROM * min(workers, len(jobs))

    def keep(submission: str, answer: dict[str, Any]) -> None:
        # Not by whoever reads the answers: while they record one, the next may be there already.
        if "verdict" in answer:
            store.put(Verdict.from_json(answer["verdict"]))

    patience_s = 2 * week.limits.submission_s + 120
    with Pool(min(workers, len(jobs)), patience_s, keep) as pool:
        for submission, answer in pool.run(jobs):
            verdict = Verdict.from_json(answer["verdict"]) if "verdict" in answer else None
            for number, place in enumerate(waiting[submission]):
                seconds = float(answer.get("seconds", 0.0)) if number == 0 else 0.0
                finish(place, Done(items[place], verdict, answer.get("problem"), number > 0, seconds))
    sweep()
    return [done[place] for place in range(len(items))]


def evaluate_job(job: dict[str, Any]) -> str:
    """One job of `evaluate_many`, in a worker. Returns the verdict's text."""
    week = _week(job["week"])
    notebook = read(Path(job["path"]), week.limits)
    if submission_hash(notebook) != job["submission"]:
        raise SubmissionError(f"{job['path']} changed while it was being graded; grade again.")
    seed, rung = int(job["seed"]), str(job["sandbox"])
    try:
        verdict = evaluate(notebook, week, Path(job["edition"]), seed=seed, sandbox=rung, warm=job["warm"])
    except SubmissionError as problem:
        verdict = unreadable(week, job["submission"], str(problem), seed=seed, sandbox=rung)
    return verdict.to_json()


@functools.lru_cache(maxsize=4)
def _week(folder: str) -> Week:
    return load_week(Path(folder))


def _whatever_is_there(path: Path) -> bytes:
    """The bytes of a file that is too large to be a notebook, so that its verdict can be found again."""
    try:
        return notebooks.load_bytes(path, cap_mb=1000)
    except SubmissionError:
        return b""
