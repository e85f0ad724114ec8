"""Boxes, arrows and tokens: what every diagram of this course is drawn with.

A box is filled by what becomes of it in training, frozen or trained, and a legend says so in words. Tokens of
a picture are blue and hatched, words are orange: whatever a colour says is also said by a word or a hatch.
"""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle

from course_lib.exhibits import BLUE, ORANGE

Number = float | int

FROZEN, TRAINED = "#E8EEF3", "#FFE7B3"
FROZEN_EDGE, TRAINED_EDGE = "#50606E", "#B36B00"


def canvas(width: Number, height: Number, xmax: Number, ymax: Number) -> tuple[Figure, Axes]:
    """An empty figure of so many inches, and its coordinates from 0."""
    figure = Figure(figsize=(width, height))
    axes = figure.add_subplot()
    blank(axes, xmax, ymax)
    return figure, axes


def blank(axes: Axes, xmax: Number, ymax: Number) -> None:
    """Coordinates from 0, and no frame."""
    axes.set_xlim(0, xmax)
    axes.set_ylim(0, ymax)
    axes.set_axis_off()


def box(
    axes: Axes,
    x: Number,
    y: Number,
    w: Number,
    h: Number,
    text: str = "",
    colour: str = FROZEN,
    size: Number = 9,
    *,
    dashed: bool = False,
    rounding: Number = 0.12,
) -> None:
    """A part of a model."""
    edge = TRAINED_EDGE if colour == TRAINED else FROZEN_EDGE
    axes.add_patch(
        FancyBboxPatch(
            (x, y),
            w,
            h,
            boxstyle=f"round,pad=0,rounding_size={rounding}",
            facecolor=colour,
            edgecolor=edge,
            linewidth=1.3,
            linestyle="--" if dashed else "-",
        )
    )
    if text:
        axes.text(x + w / 2, y + h / 2, text, ha="center", va="center", fontsize=size)


def arrow(
    axes: Axes,
    x0: Number,
    y0: Number,
    x1: Number,
    y1: Number,
    *,
    colour: str = "black",
    dashed: bool = False,
    bend: Number = 0,
    width: Number = 1.4,
    shrink: Number = 2,
    head: Number = 11,
) -> None:
    """From one place to another."""
    axes.add_patch(
        FancyArrowPatch(
            (x0, y0),
            (x1, y1),
            arrowstyle="-|>",
            mutation_scale=head,
            color=colour,
            linestyle="--" if dashed else "-",
            connectionstyle=f"arc3,rad={bend}",
            linewidth=width,
            shrinkA=shrink,
            shrinkB=shrink,
        )
    )


def bar(axes: Axes, x: Number, y: Number, w: Number, h: Number, of: str) -> None:
    """A row of tokens: "picture" in the stream, "words", or a picture "beside" the stream."""
    looks: dict[str, dict[str, Any]] = {
        "picture": {"facecolor": BLUE, "edgecolor": "white", "hatch": "//"},
        "words": {"facecolor": ORANGE, "edgecolor": "white"},
        "beside": {"facecolor": "white", "edgecolor": BLUE, "hatch": "//"},
    }
    axes.add_patch(Rectangle((x, y), w, h, linewidth=0, **looks[of]))
    axes.add_patch(Rectangle((x, y), w, h, facecolor="none", edgecolor="black", linewidth=0.8))


def meeting(axes: Axes, x: Number, y: Number, size: Number = 9) -> None:
    """The mark for: here a picture and words meet."""
    axes.plot([x], [y], marker="*", markersize=size * 1.6, color="#D55E00", mec="black", mew=0.6, zorder=5)
