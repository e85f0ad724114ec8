"""What grading one more submission costs: `course grade` beside stock `nbgrader autograde` and `otter run`.

Each side (`grading.bench_sides`) runs as its own command, in turn, several rounds in one go, all on one core.
For ours and for nbgrader a round is a run with a few submissions and one with many; the difference, divided,
is what one more costs when everything that is paid once is paid. otter pays everything for each. CPU time is
that of the command and of every process under it.

build/bench/grading.json holds, in seconds unless its name says otherwise:

    ours, nbgrader, otter    one more submission, wall_s and cpu_s; otter is null where it cannot be installed
    ratio_wall, ratio_cpu    nbgrader's through ours; ratio_wall_otter and ratio_cpu_otter: otter's
    cold_s                   one submission alone, from the command to its mark on the disk, by side
    release_s                what `course release` takes before that, once a week
    learner_cpu_s            the learner's own code; overhead_cpu_s is what ours adds to it
    scaling_two_cores        submissions a second of two workers on two cores through those of one on one
    pss_mb_per_kernel, isolation_ms, memory_growth    see `grading.bench_kernels`
"""

import json
import shutil
import statistics
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table

from grading import bench_kernels
from grading.bench_sides import Cost, Otter, Ours, Stock, cores_here, install_otter
from grading.evaluation import WARM_FROM
from grading.layout import Layout
from grading.weeks import Week

ROUNDS = 3
OTTERS = 2  # submissions a round: each is a command of its own
CLASS_LEAST = bench_kernels.AFTER + 2 * bench_kernels.NEAR
Bars = Callable[[], AbstractContextManager[Callable[[str, int, int], None]]]


@dataclass
class Measured:
    """Everything the rounds gave, one entry a round; for otter, one a submission.

    Args:
        more: one more submission, by side.
        alone: one submission, start-up included, by side.
        two: one more submission of ours, for two workers on two cores; empty where there is one core.
    """

    more: dict[str, list[Cost]] = field(default_factory=lambda: {"ours": [], "nbgrader": [], "otter": []})
    alone: dict[str, list[Cost]] = field(default_factory=lambda: {"ours": [], "nbgrader": [], "otter": []})
    two: list[Cost] = field(default_factory=list)


def run(
    layout: Layout,
    week: Week,
    submissions: int,
    console: Console,
    bars: Bars,
    say: Callable[[str], None] = lambda line: None,
    class_size: int = 0,
) -> dict[str, Any]:
    """Measure every side, print the table, write build/bench/grading.json; returns what it holds.

    Args:
        submissions: how many more ours and nbgrader's grade in the larger run of a round.
        class_size: submissions over which memory is watched; 0 leaves it out, and memory_growth is null.
        say: gets a sentence on what takes long, or is left out.
    """
    home = layout.bench / "grading"
    shutil.rmtree(home, ignore_errors=True)
    packages = install_otter(layout, say)
    ours, theirs = Ours(layout, week, home / "course"), Stock(layout, week, home / "nbgrader")
    otter = Otter(layout, week, home / "otter", packages) if packages is not None else None
    found = Measured()
    with bars() as progress:
        for number in range(ROUNDS):
            _round(number, submissions, ours, theirs, otter, found)
            progress("measured", number + 1, ROUNDS)
    say("looking at kernels")
    inside = {
        "pss_mb_per_kernel": bench_kernels.pss_mb_per_kernel(layout, week),
        "isolation": bench_kernels.isolation_ms(layout, week),
    }
    if class_size:
        say(f"grading a class of {class_size}, to see whether memory grows")
    inside["memory_growth"] = bench_kernels.memory_growth(ours, class_size) if class_size else None
    table = summary(submissions, found, ours.learner_alone(), ours.release.wall_s, inside, class_size)
    layout.bench.mkdir(parents=True, exist_ok=True)
    (layout.bench / "grading.json").write_text(json.dumps(table, indent=2) + "\n", encoding="utf-8")
    show(console, week, table)
    shutil.rmtree(home, ignore_errors=True)
    return table


def _round(
    number: int, submissions: int, ours: Ours, theirs: Stock, otter: Otter | None, found: Measured
) -> None:
    """Each side once, on one core; then ours on two."""
    core, *others = cores_here()
    alone = ours.grade(1, f"{number}-one", [core])
    found.alone["ours"].append(alone)
    # From so many on, a class is graded with a warm parent: what one costs before that is another question.
    few = ours.grade(WARM_FROM, f"{number}-few", [core])
    many = ours.grade(WARM_FROM + submissions, f"{number}-many", [core])
    found.more["ours"].append(many.each(few, submissions))

    one = theirs.grade(1, f"{number}-one", [core])
    found.alone["nbgrader"].append(one)
    many = theirs.grade(1 + submissions, f"{number}-many", [core])
    found.more["nbgrader"].append(many.each(one, submissions))

    for again in range(OTTERS if otter is not None else 0):
        assert otter is not None
        cost = otter.grade(f"{number}-{again}", [core])
        found.alone["otter"].append(cost)
        found.more["otter"].append(cost)

    if others:
        both = [core, others[0]]
        few = ours.grade(2 * WARM_FROM, f"{number}-few-two", both, workers=2)
        many = ours.grade(2 * WARM_FROM + submissions, f"{number}-many-two", both, workers=2)
        found.two.append(many.each(few, submissions))


def summary(
    submissions: int,
    found: Measured,
    learner: float,
    release_s: float,
    inside: Mapping[str, Any],
    class_size: int,
) -> dict[str, Any]:
    """What the file holds: medians over the rounds, and what they are to each other."""
    ours, theirs, otter = (_median(found.more[side]) for side in ("ours", "nbgrader", "otter"))
    alone = {side: _median(costs) for side, costs in found.alone.items()}
    two = _median(found.two)
    assert ours is not None

    def ratio(other: Mapping[str, float] | None, key: str) -> float | None:
        return round(other[key] / ours[key], 2) if other is not None else None

    def rounded(number: float | None, digits: int) -> float | None:
        return None if number is None else round(number, digits)

    isolation = inside["isolation"]
    return {
        "submissions": submissions,
        "rounds": ROUNDS,
        "otter_submissions": len(found.more["otter"]),
        "ours": _shown(ours),
        "nbgrader": _shown(theirs),
        "otter": _shown(otter),
        "ratio_wall": ratio(theirs, "wall_s"),
        "ratio_cpu": ratio(theirs, "cpu_s"),
        "ratio_wall_otter": ratio(otter, "wall_s"),
        "ratio_cpu_otter": ratio(otter, "cpu_s"),
        "learner_cpu_s": round(learner, 3),
        "overhead_cpu_s": round(ours["cpu_s"] - learner, 3),
        "one_submission": {side: _shown(costs) for side, costs in alone.items()},
        "cold_s": {
            side: None if costs is None else round(costs["wall_s"], 3) for side, costs in alone.items()
        },
        "release_s": round(release_s, 3),
        "scaling_two_cores": None if two is None else round(ours["wall_s"] / two["wall_s"], 2),
        "pss_mb_per_kernel": rounded(inside["pss_mb_per_kernel"], 1),
        "isolation_ms": round(isolation["boxed"] - isolation["plain"], 1),
        "kernel_ready_ms": {kind: round(took, 1) for kind, took in isolation.items()},
        "memory_growth": rounded(inside["memory_growth"], 4),
        "class": class_size,
    }


def _median(costs: Sequence[Cost]) -> dict[str, float] | None:
    if not costs:
        return None
    return {
        "wall_s": statistics.median(cost.wall_s for cost in costs),
        "cpu_s": statistics.median(cost.cpu_s for cost in costs),
    }


def _shown(costs: Mapping[str, float] | None) -> dict[str, float] | None:
    return None if costs is None else {key: round(value, 3) for key, value in costs.items()}


def show(console: Console, week: Week, found: Mapping[str, Any]) -> None:
    """Print the table for people."""
    table = Table(
        box=None, pad_edge=False, title=f"Grading {week.id}", title_justify="left", title_style="bold"
    )
    for name in ("", "course grade", "nbgrader autograde", "ratio", "otter run", "ratio"):
        table.add_column(name, justify="right" if name else "left")

    def number(value: float | None, form: str) -> str:
        return "–" if value is None else format(value, form)

    def seconds(costs: Mapping[str, float] | None, key: str) -> str:
        return "–" if costs is None else f"{costs[key]:.2f} s"

    for key, label in (("wall", "one more submission, by the clock"), ("cpu", "one more submission, CPU")):
        sides = [seconds(found[side], f"{key}_s") for side in ("ours", "nbgrader", "otter")]
        table.add_row(
            *(label, sides[0], sides[1], number(found[f"ratio_{key}"], ".1f")),
            *(sides[2], number(found[f"ratio_{key}_otter"], ".1f")),
        )
    cold = found["cold_s"]
    ratios = [None if cold[side] is None else cold[side] / cold["ours"] for side in ("nbgrader", "otter")]
    table.add_row(
        *("one submission alone, start-up included", f"{cold['ours']:.1f} s"),
        *(f"{cold['nbgrader']:.1f} s", number(ratios[0], ".1f")),
        *("–" if cold["otter"] is None else f"{cold['otter']:.1f} s", number(ratios[1], ".1f")),
    )
    console.print(table)
    ready = found["kernel_ready_ms"]
    grown = found["memory_growth"]
    for label, value in (
        ("two workers on two cores", f"{number(found['scaling_two_cores'], '.2f')} times one on one"),
        ("one kernel more", f"{number(found['pss_mb_per_kernel'], '.0f')} MB of memory (PSS)"),
        (
            "isolation",
            f"{found['isolation_ms']:.0f} ms a kernel: {ready['boxed']:.0f} ms until it answers, "
            f"{ready['plain']:.0f} ms without a box",
        ),
        (
            "memory of grader and workers",
            "not looked at"
            if grown is None
            else f"{grown:+.1%} from the {bench_kernels.AFTER}th of {found['class']} submissions to the last",
        ),
        ("the week's release, once", f"{found['release_s']:.1f} s"),
    ):
        console.print(f"{label}: {value}")
    console.print(
        f"medians of {found['rounds']} rounds of {found['submissions']} submissions more, one worker on one "
        f"core ({found['otter_submissions']} by otter); the learner's own code takes "
        f"{found['learner_cpu_s']:.2f} s of CPU, ours adds {found['overhead_cpu_s']:.2f} s"
    )
