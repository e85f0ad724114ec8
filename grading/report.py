"""Verdicts -> what the class understood, and what it mixed up."""

import statistics
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from grading import pages
from grading.layout import Layout
from grading.records import Verdict
from grading.weeks import Week

BINS = 8
MOST_SHOWN = 6


@dataclass(frozen=True)
class Bin:
    """One bar of the histogram."""

    label: str
    count: int
    share: float


@dataclass(frozen=True)
class Counted:
    """A mix-up and how many learners had it."""

    name: str
    title: str
    tell: str
    count: int


@dataclass(frozen=True)
class Failed:
    """A check and how many learners it failed."""

    name: str
    claim: str
    count: int


@dataclass(frozen=True)
class ExerciseSummary:
    """One exercise over the class."""

    id: str
    title: str
    max: float
    mean: float
    right: int
    partly: int
    total: int
    outcomes: str
    misconceptions: list[Counted]
    failed: list[Failed]
    measured: list[str]


@dataclass(frozen=True)
class Summary:
    """The class in numbers."""

    submissions: int
    max: float
    median: float
    mean: float
    lowest: float
    highest: float
    unreadable: int
    histogram: list[Bin]
    exercises: list[ExerciseSummary]


def summarise(week: Week, verdicts: Mapping[str, Verdict]) -> Summary:
    """Count over a class's verdicts (at least one)."""
    scores = [verdict.score for verdict in verdicts.values()]
    most = max(verdict.max for verdict in verdicts.values())
    return Summary(
        submissions=len(scores),
        max=most,
        median=statistics.median(scores),
        mean=statistics.fmean(scores),
        lowest=min(scores),
        highest=max(scores),
        unreadable=sum(
            all(one.outcome == "unreadable" for one in verdict.exercises) for verdict in verdicts.values()
        ),
        histogram=_histogram(scores, most),
        exercises=[_exercise(week, name, verdicts) for name in week.points],
    )


def write(layout: Layout, week: Week, summary: Summary) -> Path:
    """Write the class's page; return where it is."""
    return pages.write(
        layout.reports / f"{week.id}.html", pages.render("report.html", week=week, summary=summary)
    )


def _histogram(scores: list[float], most: float) -> list[Bin]:
    width = most / BINS or 1.0
    # The last bin takes full marks in; every other one ends before the next begins.
    counts = Counter(min(int(score / width), BINS - 1) for score in scores)
    tallest = max(counts.values())
    return [
        Bin(
            f"{pages.points(n * width)} to {pages.points((n + 1) * width)}",
            counts[n],
            counts[n] / tallest,
        )
        for n in range(BINS)
    ]


def _exercise(week: Week, name: str, verdicts: Mapping[str, Verdict]) -> ExerciseSummary:
    records = [verdict.exercise(name) for verdict in verdicts.values()]
    titles = {wrong.name: wrong.text for wrong in week.exercise(name).misconceptions}
    tells = {one.misconception: one.tell or "" for one in records if one.misconception}
    named = Counter(one.misconception for one in records if one.misconception)
    claims = {check.name: check.claim for one in records for check in one.checks}
    written = [one for one in records if one.outcome not in ("not written", "missing", "unreadable")]
    failed = Counter(check.name for one in written for check in one.checks if not check.passed)
    outcomes = Counter(one.outcome for one in records if one.score == 0)
    return ExerciseSummary(
        id=name,
        title=pages.titles(week).get(name, name),
        max=records[0].max,
        mean=statistics.fmean(one.score for one in records),
        right=sum(one.score == one.max for one in records),
        partly=sum(0 < one.score < one.max for one in records),
        total=len(records),
        outcomes=", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common()),
        misconceptions=[
            Counted(wrong, titles.get(wrong, wrong.replace("_", " ")), tells[wrong], count)
            for wrong, count in sorted(named.items(), key=lambda item: (-item[1], item[0]))
        ],
        failed=[Failed(check, claims[check], count) for check, count in failed.most_common(MOST_SHOWN)],
        measured=sorted(
            (check.seen for one in records for check in one.checks if check.passed and check.seen),
            reverse=True,
        ),
    )
