"""The figures that notebooks share. Each takes plain numbers and returns an `Exhibit`: figure, words, table.

The alternative text is written from the data, so that it cannot drift from the figure. No pyplot: nothing
here depends on a notebook's backend or leaves a figure open.

Axes in this file:
    n  pictures or maps in a row      h w  pixels      r c  rows and columns of a map
"""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float, UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from course_lib.exhibits import BLACK, GREY, HATCHES, MARKERS, PALETTE, Exhibit, Table, exhibit

Curve = Sequence[tuple[int, float]]


def album(pictures: UInt8[np.ndarray, "n h w 3"], titles: Sequence[str], alt: str = "") -> Exhibit:
    """Pictures side by side, each under its title. `alt` opens the description; the titles complete it."""
    figure = Figure(figsize=(2.1 * len(pictures), 2.6))
    for k, (picture, title) in enumerate(zip(pictures, titles, strict=True)):
        axes = figure.add_subplot(1, len(pictures), k + 1)
        axes.imshow(picture, interpolation="nearest")
        axes.set_title(_folded(title), fontsize=8)
        axes.set_axis_off()
    said = "; ".join(title.replace("\n", " ") for title in titles)
    return exhibit(figure, f"{alt or f'{len(pictures)} pictures'}: {said}.")


def learning_curves(
    curves: Mapping[str, Curve],
    floor: float | None = None,
    *,
    xlabel: str = "training steps",
    ylabel: str = "right answers",
    log: bool = False,
    ylog: bool = False,
) -> Exhibit:
    """One line a name over the steps; a dashed one at `floor`, what the model answers without a picture.

    With `log`, the same ratio is the same distance along x, and only the values that occur are marked; with
    `ylog`, it is so along y.
    """
    figure = Figure(figsize=(7, 3.6))
    axes = figure.add_subplot()
    for k, (name, curve) in enumerate(curves.items()):
        steps, values = zip(*curve, strict=True)
        axes.plot(steps, values, color=PALETTE[k % 7], marker=MARKERS[k % 7], markersize=4, label=name)
    if floor is not None:
        axes.axhline(floor, color=GREY, linestyle="--", label=f"without a picture: {floor:.2f}")
    _finish(axes, xlabel, ylabel, ylim=None if floor is None else (0.0, 1.02))
    if log:
        marked = sorted({step for curve in curves.values() for step, _ in curve})
        axes.set_xscale("log")
        axes.set_xticks(marked, [str(step) for step in marked])
        axes.minorticks_off()
    if ylog:
        axes.set_yscale("log")
    said = "; ".join(f"{name} goes from {c[0][1]:.2f} to {c[-1][1]:.2f}" for name, c in curves.items())
    last = {name: dict(curve) for name, curve in curves.items()}
    every = sorted({step for curve in last.values() for step in curve})
    rows = [[step, *(_or_blank(curve.get(step)) for curve in last.values())] for step in every]
    dashed = "" if floor is None else f" Dashed: {floor:.2f} without a picture."
    alt = f"Lines: {ylabel} over {xlabel}. {said}.{dashed}"
    return exhibit(figure, alt, Table([xlabel, *curves], rows))


def by_kind(
    scores: Mapping[str, Mapping[str, float]],
    *,
    xlabel: str = "kind of question",
    ylabel: str = "right answers",
) -> Exhibit:
    """Grouped bars: one group a kind of question, or of whatever `xlabel` says, and in it one bar a name."""
    kinds = list(next(iter(scores.values())))
    figure = Figure(figsize=(8.5, 3.6))
    axes = figure.add_subplot()
    width = 0.8 / len(scores)
    for k, (name, values) in enumerate(scores.items()):
        places = np.arange(len(kinds)) + (k - (len(scores) - 1) / 2) * width
        heights = [values[kind] for kind in kinds]
        colour = GREY if k == 0 else PALETTE[(k - 1) % 7]
        axes.bar(places, heights, width, color=colour, hatch=HATCHES[k % 7], edgecolor="white", label=name)
    axes.set_xticks(np.arange(len(kinds)), [_folded(kind, 14 if len(kinds) < 7 else 10) for kind in kinds])
    _finish(axes, xlabel, ylabel, ylim=(0.0, 1.02))
    table = Table(
        ["", *kinds], [[name, *(float(values[kind]) for kind in kinds)] for name, values in scores.items()]
    )
    said = "; ".join(
        f"{name}: " + ", ".join(f"{kind} {values[kind]:.2f}" for kind in kinds)
        for name, values in scores.items()
    )
    return exhibit(figure, f"Bars: {ylabel} by {xlabel}. {said}.", table)


def dots(groups: Mapping[str, Sequence[float]], floor: float, *, ylabel: str = "right answers") -> Exhibit:
    """Every single run as a dot, one column a name: spread one can see, not a bar that hides it."""
    figure = Figure(figsize=(1.8 + 1.4 * len(groups), 3.4))
    axes = figure.add_subplot()
    for k, (name, values) in enumerate(groups.items()):
        colour, marker = PALETTE[k % 7], MARKERS[k % 7]
        axes.scatter([k] * len(values), values, color=colour, marker=marker, s=45, label=name, zorder=3)
        axes.hlines(float(np.mean(values)), k - 0.25, k + 0.25, color=colour)
    axes.axhline(floor, color=GREY, linestyle="--", label=f"without a picture: {floor:.2f}")
    axes.set_xticks(range(len(groups)), list(groups))
    axes.set_xlim(-0.6, len(groups) - 0.4)
    _finish(axes, "", ylabel)
    said = "; ".join(f"{name}: " + ", ".join(f"{v:.3f}" for v in values) for name, values in groups.items())
    return exhibit(figure, f"Dots: {ylabel}, one dot a run, a bar at the mean. {said}. Floor {floor:.2f}.")


def matrix(
    values: Float[np.ndarray, "r c"],
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    title: str,
    xlabel: str = "",
    ylabel: str = "",
    write: bool = True,
) -> Exhibit:
    """A small heat map, dark = large, with the number in every cell and the table folded below."""
    values = np.asarray(values, dtype=float)
    figure = Figure(figsize=(1.6 + 0.55 * len(columns), 1.2 + 0.42 * len(rows)))
    axes = figure.add_subplot()
    axes.imshow(values, cmap="Blues", vmin=min(0.0, float(values.min())), aspect="auto")
    middle = (float(values.max()) + min(0.0, float(values.min()))) / 2
    shares = bool(0.0 <= values.min() and values.max() <= 1.0 and (values % 1.0).any())
    if write:
        for (r, c), value in np.ndenumerate(values):
            said = f"{value:.2f}" if shares else f"{value:.2g}"
            axes.text(c, r, said, ha="center", va="center", fontsize=8, color=_ink(value, middle))
    axes.set_xticks(range(len(columns)), columns, fontsize=8, rotation=0 if _short(columns) else 45)
    axes.set_yticks(range(len(rows)), rows, fontsize=8)
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    axes.set_title(title, fontsize=10)
    r, c = np.unravel_index(int(values.argmax()), values.shape)
    largest = f"{values.max():.2g} at {rows[int(r)]}, {columns[int(c)]}"
    alt = f"Heat map: {title}. Largest: {largest}. All numbers are in the table."
    table = Table(
        ["", *columns], [[name, *map(float, line)] for name, line in zip(rows, values.tolist(), strict=True)]
    )
    return exhibit(figure, alt, table)


def yes_or_no(
    panels: Mapping[str, Bool[np.ndarray, "r c"]],
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    title: str,
    across: int = 3,
) -> Exhibit:
    """Tables of yes and no beside each other, `across` in a line: a dark cell with a 1 is a yes."""
    tables = {name: np.asarray(values, dtype=bool) for name, values in panels.items()}
    down = -(-len(tables) // across)
    width, height = 1.0 + 0.3 * len(columns), 1.2 + 0.3 * len(rows)
    figure = Figure(figsize=(width * min(across, len(tables)), height * down), layout="constrained")
    figure.suptitle(title, fontsize=10)
    for k, (name, values) in enumerate(tables.items()):
        axes = figure.add_subplot(down, min(across, len(tables)), k + 1)
        axes.imshow(values, cmap="Blues", vmin=0, vmax=1.2)
        for r, c in zip(*np.nonzero(values), strict=True):
            axes.text(c, r, "1", ha="center", va="center", fontsize=7, color="white")
        axes.set_xticks(range(len(columns)), columns, fontsize=7, rotation=60, ha="right")
        axes.set_yticks(range(len(rows)), rows if k % across == 0 else [], fontsize=7)
        axes.set_title(name, fontsize=9)
    said = "; ".join(f"{name}: {int(values.sum())} of {values.size}" for name, values in tables.items())
    lines = [
        [name, row, *map(int, line)]
        for name, values in tables.items()
        for row, line in zip(rows, values, strict=True)
    ]
    alt = f"Tables of yes and no: {title}. Yes in {said}. Every entry is in the table."
    return exhibit(figure, alt, Table(["", "", *columns], lines))


def looks(
    pictures: UInt8[np.ndarray, "n h w 3"],
    maps: Float[np.ndarray, "n r c"],
    titles: Sequence[str],
    *,
    what: str = "where it looks",
) -> Exhibit:
    """Pictures, and below each its map: the share of attention on every cell, written into the cell."""
    maps = np.asarray(maps, dtype=float)
    figure = Figure(figsize=(2.0 * len(pictures), 4.4))
    for k, (picture, values, title) in enumerate(zip(pictures, maps, titles, strict=True)):
        top = figure.add_subplot(2, len(pictures), k + 1)
        top.imshow(picture, interpolation="nearest")
        top.set_title(_folded(title), fontsize=8)
        top.set_axis_off()
        below = figure.add_subplot(2, len(pictures), len(pictures) + k + 1)
        below.imshow(values, cmap="Blues", vmin=0, vmax=max(float(maps.max()), 1e-9))
        for (r, c), value in np.ndenumerate(values):
            below.text(
                c, r, f"{value:.2f}", ha="center", va="center", fontsize=7, color=_ink(value, maps.max() / 2)
            )
        below.set_axis_off()
    rows: list[list[object]] = []
    for title, values in zip(titles, maps, strict=True):
        r, c = np.unravel_index(int(values.argmax()), values.shape)
        rows.append([title.replace("\n", " "), f"row {r + 1}, column {c + 1}", float(values.max())])
    said = "; ".join(f"{row[0]}: most at {row[1]} ({row[2]:.2f})" for row in rows)
    cells = [f"{r + 1},{c + 1}" for r in range(maps.shape[1]) for c in range(maps.shape[2])]
    numbers = [[row[0], *map(float, values.ravel().tolist())] for row, values in zip(rows, maps, strict=True)]
    return exhibit(
        figure, f"Pictures above heat maps: {what}. {said}.", Table(["row,column", *cells], numbers)
    )


def against_tokens(
    points: Mapping[str, Sequence[tuple[int, float]]], *, ylabel: str = "right answers"
) -> Exhibit:
    """One line a name over the number of visual tokens, on a logarithmic axis."""
    figure = Figure(figsize=(7, 3.6))
    axes = figure.add_subplot()
    counts = sorted({tokens for line in points.values() for tokens, _ in line})
    for k, (name, line) in enumerate(points.items()):
        tokens, values = zip(*sorted(line), strict=True)
        first = k == 0
        colour, width = (BLACK, 2.5) if first else (PALETTE[(k - 1) % 6], 1.2)
        axes.plot(tokens, values, marker=MARKERS[k % 7], label=name, color=colour, linewidth=width)
    axes.set_xscale("log")
    axes.set_xticks(counts, [str(count) for count in counts])
    axes.minorticks_off()
    _finish(axes, "visual tokens for one picture", ylabel, ylim=(0.0, 1.02))
    found = {name: dict(line) for name, line in points.items()}
    rows = [[str(count), *(_or_blank(line.get(count)) for line in found.values())] for count in counts]
    said = "; ".join(
        f"{name}: " + ", ".join(f"{value:.2f} at {tokens}" for tokens, value in sorted(line))
        for name, line in points.items()
    )
    return exhibit(
        figure, f"Lines: {ylabel} over visual tokens. {said}.", Table(["visual tokens", *points], rows)
    )


def _finish(axes: Axes, xlabel: str, ylabel: str, ylim: tuple[float, float] | None = None) -> None:
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    if ylim is not None:
        axes.set_ylim(*ylim)
    axes.grid(axis="y", alpha=0.3)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))


def _ink(value: float, middle: float) -> str:
    return "white" if value > middle * 1.15 else "black"


def _or_blank(value: float | None) -> object:
    return "" if value is None else float(value)


def _short(names: Sequence[str]) -> bool:
    return max(len(name) for name in names) <= 6


def _folded(title: str, width: int = 24) -> str:
    lines: list[str] = []
    for part in title.split("\n"):
        line = ""
        for word in part.split():
            if line and len(line) + 1 + len(word) > width:
                lines.append(line)
                line = word
            else:
                line = f"{line} {word}".strip()
        lines.append(line)
    return "\n".join(lines)
