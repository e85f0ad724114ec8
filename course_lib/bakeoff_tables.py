"""The bake-off's numbers as tables and figures, and the numbers of our own full run.

    found = results()                    ours: every pattern, two budgets, three seeds
    board(found, "parameters")           a line a contestant: what it is, what it costs, what it gets right
    standing(found)                      every run as a mark, both budgets
    kind_map(found, "flops")             by kind of question

`bakeoff` in `course_lib.bakeoff` returns the same form, so that a run of yours is drawn in the same way.
"""

import json
import statistics
from typing import Any

import torch
from matplotlib.figure import Figure

from course_lib import plots
from course_lib.bakeoff import MEASURE, Row
from course_lib.bakeoff_results import RESULTS
from course_lib.errors import CourseError
from course_lib.exhibits import BLUE, GREY, ORANGE, Exhibit, Table, exhibit

SAID = {"parameters": "parameters and steps", "flops": "FLOPs of training"}
HEAD = '''"""What the full bake-off gave: JSON, as `course_lib.bakeoff.bakeoff` returns it.

Written by `course bench --only bakeoff`; change nothing here by hand.
"""

'''


def results() -> Row:
    """What our own full run gave, as `bakeoff` returns it: with the reference parts, on two CPU cores."""
    found: Row = json.loads(RESULTS)
    return found


def runs_of(found: Row, name: str, budget: str) -> list[Row]:
    """The runs of one contestant under one budget, one a seed."""
    steps = {one["name"]: one["steps"] for one in found["entries"]}
    there = found["about"]["budgets"]
    if budget not in there:
        raise CourseError(f"There is no budget {budget!r} in this run; choose from {', '.join(there)}.")
    return [row for row in found["runs"] if row["name"] == name and row["steps"] == steps[name][budget]]


def board(found: Row, budget: str) -> Table:
    """One line a contestant: what it is, what it costs, how much it gets right."""
    header = ["", "where", "what arrives", "trained", "tokens", "MFLOPs an answer"]
    timings = all("ms" in one for one in found["entries"])
    header += ["ms an answer"] if timings else []
    spread = ["least – most"] if len(found["about"]["seeds"]) > 1 else []  # of one run there is none
    header += ["steps", "right answers", *spread, "unseen pairs", "no picture", "another's picture"]
    lines = []
    for one in found["entries"]:
        runs = runs_of(found, one["name"], budget)
        right = [row["right"] for row in runs]
        line = [one["name"], one["where"], one["what"], one["parameters"], one["tokens"]]
        line += [f"{one['answer_flops'] / 1e6:.0f}"] + ([f"{one['ms']:.1f}"] if timings else [])
        line += [one["steps"][budget], statistics.fmean(right)]
        line += [f"{min(right):.3f} – {max(right):.3f}"] if spread else []
        line += [statistics.fmean(row[name] for row in runs) for name in ("unseen", "blind", "shuffled")]
        lines.append(line)
    return Table(header, lines)


def kind_map(found: Row, budget: str) -> Exhibit:
    """Right answers by kind of question, the mean over the seeds."""
    asked, names = found["about"]["kinds"], [one["name"] for one in found["entries"]]
    values = [
        [statistics.fmean(row["by_kind"][kind] for row in runs_of(found, name, budget)) for kind in asked]
        for name in names
    ]
    title = f"right answers by kind of question, equal {SAID[budget]}"
    return plots.matrix(torch.tensor(values).numpy(), names, asked, title=title)


def standing(found: Row) -> Exhibit:
    """Right answers of every contestant: a mark a run, a line from the least to the most, a row a budget."""
    names, budgets = [one["name"] for one in found["entries"]], found["about"]["budgets"]
    drawn = Figure(figsize=(7, 0.8 + 0.42 * len(names)))
    axes = drawn.add_subplot()
    blind = statistics.fmean(row["blind"] for row in found["runs"] if row["name"] == MEASURE)
    said, lines = [], []
    for k, budget in enumerate(budgets):
        colour, marker = ((BLUE, "o"), (ORANGE, "s"))[k]
        for place, name in enumerate(names):
            right = [row["right"] for row in runs_of(found, name, budget)]
            y = place + 0.3 * (k - (len(budgets) - 1) / 2)
            axes.hlines(y, min(right), max(right), color=colour, linewidth=1.5)
            label = f"equal {SAID[budget]}" if place == 0 else None
            filled = colour if k == 0 else "white"
            axes.scatter(
                right, [y] * len(right), s=22, marker=marker, c=filled, edgecolors=colour, label=label
            )
            mean = statistics.fmean(right)
            said.append(f"{name}, equal {SAID[budget]}, {min(right):.2f} to {max(right):.2f}")
            lines.append([name, f"equal {SAID[budget]}", mean, min(right), max(right)])
    axes.axvline(blind, color=GREY, linestyle="--", label=f"without a picture: {blind:.2f}")
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlim(0.0, 1.02)
    axes.set_xlabel("right answers on new scenes")
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)
    axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    n = len(found["about"]["seeds"])
    alt = f"Marks: right answers on new scenes, {n} seed(s) each. {'; '.join(said)}. Floor {blind:.2f}."
    return exhibit(drawn, alt, Table(["", "budget", "mean", "least", "most"], lines))


def as_module(found: Row) -> str:
    """The text of `course_lib.bakeoff_results`: numbers rounded, a run on three lines."""

    def short(value: Any) -> Any:
        if isinstance(value, float):
            return float(f"{value:.5g}")  # a rate has its digits further behind
        if isinstance(value, dict):
            return {name: short(one) for name, one in value.items()}
        return value

    def folded(row: Row) -> str:
        lines = [""]
        for item in json.dumps(short(row), separators=(", \0", ": ")).split("\0"):  # never inside a string
            if len(lines[-1]) + len(item) > 108:
                lines.append("")
            lines[-1] += item
        return "\n".join(line.rstrip() for line in lines)

    parts = ['"about": ' + folded(found["about"])]
    for name in ("entries", "runs"):
        parts.append(f'"{name}": [\n' + ",\n".join(folded(row) for row in found[name]) + "\n]")
    return HEAD + 'RESULTS = """\n{' + ",\n".join(parts) + '}\n"""\n'
