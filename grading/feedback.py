"""Verdict -> one page for one learner: what each exercise earned, what was seen, and where to look next.

The page is made of the verdict and of the learner's own code, and everything in it is text: jinja2 escapes
it, and the page's content security policy lets nothing run and nothing load. It never holds a hidden check's
source, a reference's numbers, or the seed.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from grading import harmless, notebooks, pages
from grading.errors import SubmissionError
from grading.layout import Layout
from grading.records import CheckRecord, ExerciseRecord, Verdict
from grading.weeks import Week

CODE_CAP = 20_000

SENTENCES = {
    "right": "Every check passed.",
    "partly right": "Some checks passed; the others say what they saw.",
    "not right": "It runs, but no check passed yet.",
    "not written": "This gap is not written yet.",
    "missing": "The notebook defines nothing by the name that the exercise asks for.",
    "too slow": "It took longer, or more processor time, than a question may take.",
    "crashed": "The notebook's process ended while this exercise was asked.",
    "unreadable": "The file that was handed in could not be read as a notebook.",
}


@dataclass(frozen=True)
class Shown:
    """One exercise as the page shows it."""

    id: str
    title: str
    score: float
    max: float
    share: float
    kind: str
    label: str
    sentence: str
    tell: str
    failed: list[CheckRecord]
    passed: list[CheckRecord]
    code: str


def write(
    layout: Layout,
    week: Week,
    student: str,
    verdict: Verdict,
    received: str = "",
    total: float | None = None,
) -> Path:
    """Write a learner's page; return where it is.

    Args:
        received: when the submission was taken in, from its receipt.
        total: what the gradebook says, if an instructor or a late penalty changed it.
    """
    text = page(week, student, verdict, code_of(layout, week, student), received, total)
    return pages.write(layout.feedback / student / f"{week.id}.html", text)


def page(
    week: Week,
    student: str,
    verdict: Verdict,
    code: dict[str, str],
    received: str = "",
    total: float | None = None,
) -> str:
    """The page's text, from data alone."""
    titles = pages.titles(week)
    exercises = [_shown(one, titles.get(one.id, one.id), code.get(one.id, "")) for one in verdict.exercises]
    return pages.render(
        "feedback.html",
        week=week,
        student=harmless.text(student, 100),
        verdict=verdict,
        adjusted=total if total is not None and abs(total - verdict.score) > 1e-6 else None,
        notes=[harmless.text(note, 1000) for note in verdict.notes[:30]],
        exercises=exercises,
        summary=_summary(exercises),
        received=harmless.text(received, 100),
    )


def code_of(layout: Layout, week: Week, student: str) -> dict[str, str]:
    """The learner's source by exercise, as far as it can be found."""
    try:
        submitted = notebooks.read(layout.submitted / student / week.id / f"{week.id}.ipynb")
        release = notebooks.read(layout.notebooks / week.id / f"{week.id}.ipynb")
    except SubmissionError:
        return {}
    aligned = notebooks.align(release, submitted)
    found = {}
    for cell, source in aligned.cells:
        exercise = cell["metadata"].get("exercise")
        if exercise is not None and source is not None and source.strip() != cell["source"].strip():
            found[str(exercise)] = source
    return found


def _shown(one: ExerciseRecord, title: str, code: str) -> Shown:
    share = min(max(one.score / one.max, 0.0), 1.0) if one.max else 0.0
    kind = "right" if share == 1.0 else "partly" if share > 0 else "wrong"
    checks = [
        CheckRecord(c.name, c.passed, c.claim, harmless.text(c.seen, 600), c.look, c.public, c.weight)
        for c in one.checks
    ]
    # Every check of a gap says the same about it: once is enough.
    silent = one.outcome in ("not written", "missing", "unreadable")
    failed = [c for c in checks if not c.passed]
    return Shown(
        id=re.sub(r"[^\w-]", "-", one.id),
        title=title,
        score=one.score,
        max=one.max,
        share=share,
        kind=kind,
        label=f"{pages.points(one.score)} of {pages.points(one.max)} points",
        sentence=SENTENCES[one.outcome],
        tell=one.tell or "",
        failed=failed[:1] if silent else failed,
        passed=[c for c in checks if c.passed],
        code=harmless.text(code, CODE_CAP),
    )


def _summary(exercises: list[Shown]) -> str:
    right = sum(one.kind == "right" for one in exercises)
    if right == len(exercises):
        return "Every exercise is right. Well done."
    unread = {"not written", "missing"}
    open_ = [one for one in exercises if one.sentence in {SENTENCES[key] for key in unread}]
    parts = [f"{right} of {len(exercises)} exercises {'is' if right == 1 else 'are'} right"]
    if open_:
        parts.append(f"{len(open_)} not written yet")
    known = sum(bool(one.tell) for one in exercises)
    if known:
        parts.append(f"{known} with a mix-up we know and can name")
    return ", ".join(parts) + "."
