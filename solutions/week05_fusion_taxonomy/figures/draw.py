"""Draws the static figures of this week: `python solutions/week05_fusion_taxonomy/figures/draw.py`.

Their alternative texts stand in the notebook, beside the pictures. Colours are Okabe and Ito's; whatever a
colour says is also said by a word.
"""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from course_lib.drawing import FROZEN, TRAINED, TRAINED_EDGE, arrow, bar, box, canvas, meeting
from course_lib.exhibits import BLUE, GREY, ORANGE

HERE = Path(__file__).parent


def main() -> None:
    for draw in (patterns,):
        figure = draw()
        figure.savefig(
            HERE / f"{draw.__name__}.png",
            dpi=130,
            bbox_inches="tight",
            facecolor="white",
            metadata={"Software": None},
        )


def line(axes: Axes, *points: tuple[float, float]) -> None:
    axes.plot([x for x, _ in points], [y for _, y in points], color="black", lw=1.4, solid_capstyle="round")


def place(axes: Axes, x: float, y: float, name: str, what: str) -> None:
    """Where they meet, in bold, and what arrives there."""
    axes.text(x, y + 0.08, name, fontsize=10, weight="bold", va="bottom")
    axes.text(x, y - 0.08, what, fontsize=8.5, va="top")


def patterns() -> Figure:
    """One frozen language model, and every way in."""
    figure, axes = canvas(11.5, 7.7, 13.8, 9.2)
    # the picture and its encoder
    axes.add_patch(Rectangle((0.1, 3.55), 1.2, 1.2, facecolor="white", edgecolor="black"))
    for k in range(1, 4):
        axes.plot([0.1 + 0.3 * k] * 2, [3.55, 4.75], color=GREY, lw=0.7)
        axes.plot([0.1, 1.3], [3.55 + 0.3 * k] * 2, color=GREY, lw=0.7)
    axes.text(0.7, 4.85, "picture", ha="center", va="bottom", fontsize=9)
    box(axes, 1.9, 3.55, 1.35, 1.2, "image\nencoder")
    arrow(axes, 1.32, 4.15, 1.88, 4.15)
    # the language model
    left, border, right, low, step = 9.4, 11.7, 13.3, 2.35, 0.75
    for k in range(6):
        box(axes, left, low + k * step + 0.24, right - left, step - 0.3, "", FROZEN, rounding=0.06)
    axes.text(right + 0.12, 4.6, "layers of the language model", rotation=90, va="center", fontsize=9)
    box(axes, left, 7.0, 12.15 - left, 0.42, "next word", FROZEN, 9, rounding=0.06)
    bar(axes, left, 1.75, border - left, 0.42, "picture")
    bar(axes, border, 1.75, right - border, 0.42, "words")
    axes.text(10.55, 1.65, "the picture's tokens", ha="center", va="top", fontsize=8.5, color=BLUE)
    axes.text(12.5, 1.65, "words", ha="center", va="top", fontsize=8.5)
    # at the input
    rows = (
        (0.35, "one matrix", "At the input, raw patches", "as many as patches, and newlines"),
        (
            1.95,
            "linear, MLP,\nor merged first",
            "At the input, features",
            "one token a patch, or one for four",
        ),
        (
            3.55,
            "resampler\nor Q-Former",
            "At the input, bottleneck",
            "as many as there are queries",
        ),
    )
    for y, bridge, name, what in rows:
        box(axes, 6.9, y, 1.7, 0.85, bridge, TRAINED)
        place(axes, 3.62, y + 0.425, name, what)
        line(axes, (8.62, y + 0.425), (8.76, y + 0.425), (8.76, 1.96))
    arrow(axes, 8.76, 1.96, left - 0.02, 1.96, shrink=0)
    meeting(axes, border, 1.96, 10)
    line(axes, (0.7, 3.55), (0.7, 0.775))
    axes.text(0.85, 0.84, "past the encoder", fontsize=8.5, va="bottom")
    arrow(axes, 0.7, 0.775, 6.88, 0.775, shrink=0)
    # from the encoder
    post = 3.42
    line(axes, (3.25, 4.15), (post, 4.15))
    line(axes, (post, 2.375), (post, 7.775))
    for y in (2.375, 3.975, 7.775):
        arrow(axes, post, y, 6.88, y, shrink=0)
    line(axes, (post, 5.65), (8.95, 5.65))
    # between layers
    place(
        axes, 3.62, 5.65, "Between layers, features", "all tokens stand beside the stream; words look at them"
    )
    heights = [low + k * step + 0.09 for k in (0, 2, 4)]
    line(axes, (8.95, heights[0]), (8.95, 5.65))
    for y in heights:
        arrow(axes, 8.95, y, border, y, shrink=0, width=1.1)
        axes.add_patch(
            Rectangle((border, y - 0.1), right - border, 0.2, facecolor=TRAINED, edgecolor=TRAINED_EDGE)
        )
        meeting(axes, border, y, 8)
    # at the output
    place(axes, 3.62, 7.775, "At the output, features", "each side is read without the other")
    box(axes, 6.9, 7.35, 1.7, 0.85, "mean,\nthen a map", TRAINED)
    box(axes, left, 8.35, right - left, 0.6, "head: one of the answers", TRAINED)
    for x, colour in ((9.1, BLUE), (12.5, ORANGE)):
        axes.add_patch(Rectangle((x - 0.14, 7.635), 0.28, 0.28, facecolor=colour, edgecolor="black"))
    arrow(axes, 8.62, 7.775, 8.95, 7.775, shrink=0, head=8)
    axes.text(9.35, 7.775, "one vector", fontsize=8.5, va="center", color=BLUE)
    axes.text(12.25, 7.775, "one vector", fontsize=8.5, ha="right", va="center")
    arrow(axes, 9.1, 7.92, 9.75, 8.33, shrink=0, head=8)
    arrow(axes, 12.5, 7.92, 12.5, 8.33, shrink=0, head=8)
    line(axes, (12.5, 6.8), (12.5, 7.63))
    meeting(axes, 11.2, 8.35, 10)
    # both, and the legend
    axes.text(0.1, 8.85, "Where can a picture and words meet?", fontsize=13, weight="bold", va="center")
    axes.text(
        0.1,
        6.5,
        "Hybrid: at the input\nand between layers,\na few tokens in front,\nall of them beside",
        fontsize=9,
        va="center",
    )
    for x, draw, name in (
        (3.62, TRAINED, "trained"),
        (5.1, FROZEN, "frozen (for raw patches, the language model usually trains)"),
    ):
        box(axes, x, -0.35, 0.42, 0.3, "", draw, rounding=0.05)
        axes.text(x + 0.55, -0.2, name, fontsize=9, va="center")
    meeting(axes, 11.8, -0.2, 9)
    axes.text(12.05, -0.2, "here they meet", fontsize=9, va="center")
    axes.set_ylim(-0.5, 9.2)
    return figure


if __name__ == "__main__":
    main()
