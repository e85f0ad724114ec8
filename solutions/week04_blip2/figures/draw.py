"""Draws the static figures of this week: `python solutions/week04_blip2/figures/draw.py`.

Their alternative texts stand in the notebook, beside the pictures. Colours are Okabe and Ito's; whatever a
colour says is also said by a word.
"""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from course_lib.drawing import arrow, box, canvas

HERE = Path(__file__).parent
BLUE, ORANGE, GREEN, PURPLE, SKY, GREY = "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#8A8A8A"
FOR_QUERIES, FOR_TEXT, SHARED = "#DCEBF7", "#D9F0E6", "#F3F3F3"


def main() -> None:
    for draw in (qformer,):
        figure = draw()
        figure.savefig(
            HERE / f"{draw.__name__}.png",
            dpi=130,
            bbox_inches="tight",
            facecolor="white",
            metadata={"Software": None},
        )


def token(axes: Axes, x: float, y: float, w: float, text: str, colour: str) -> None:
    axes.add_patch(Rectangle((x, y), w, 0.5, facecolor="white", edgecolor=colour, lw=1.8))
    axes.text(x + w / 2, y + 0.25, text, ha="center", va="center", fontsize=9, family="monospace")


def qformer() -> Figure:
    """One layer, both sides."""
    figure, axes = canvas(10.5, 6.6, 12.4, 7.8)
    queries, text = (4.35, 5.45, 6.55), (7.75, 8.85, 9.95)
    row = [(f"query {k + 1}", x, BLUE) for k, x in enumerate(queries)]
    row += [(name, x, GREEN) for name, x in zip(("a", "red", "ring"), text, strict=True)]
    for y in (0.45, 6.75):
        for name, x, colour in row:
            token(axes, x, y, 1.0, name, colour)
    shared, asking = (4.35, 6.6), (4.35, 3.2)
    box(axes, shared[0], 1.5, shared[1], 0.95, "self-attention, one for both\nadd, then norm", SHARED)
    box(axes, asking[0], 3.25, asking[1], 0.95, "cross-attention\nadd, then norm", FOR_QUERIES)
    box(axes, asking[0], 5.0, asking[1], 0.95, "feed-forward for queries\nadd, then norm", FOR_QUERIES)
    box(axes, 7.75, 5.0, 3.2, 0.95, "feed-forward for text\nadd, then norm", FOR_TEXT)
    for _, x, colour in row:
        arrow(axes, x + 0.5, 0.97, x + 0.5, 1.48, colour=colour)
        arrow(axes, x + 0.5, 5.97, x + 0.5, 6.73, colour=colour)
    for x in queries:
        arrow(axes, x + 0.5, 2.47, x + 0.5, 3.23, colour=BLUE)
        arrow(axes, x + 0.5, 4.22, x + 0.5, 4.98, colour=BLUE)
    for x in text:
        arrow(axes, x + 0.5, 2.47, x + 0.5, 4.98, colour=GREEN)
    box(axes, 0.1, 3.25, 2.3, 0.95, "picture\nv visual tokens", "white")
    arrow(axes, 2.42, 3.73, 4.33, 3.73)
    axes.text(3.35, 3.85, "keys, values", ha="center", va="bottom", fontsize=8.5)
    box(axes, 0.1, 1.5, 2.3, 0.95, "mask\nwho may see whom", "white")
    arrow(axes, 2.42, 1.98, 4.33, 1.98, dashed=True)
    axes.text(10.7, 3.73, "text goes past:\nit reads\nno picture", ha="left", va="center", fontsize=9)
    axes.text(3.35, 3.55, "only in layers\n0, 2, 4, ...", ha="center", va="top", fontsize=8.5)
    axes.text(4.2, 0.7, "in", ha="right", va="center", fontsize=9, weight="bold")
    axes.text(4.2, 7.0, "out", ha="right", va="center", fontsize=9, weight="bold")
    axes.text(5.95, 0.15, "n_queries learned vectors", ha="center", va="center", fontsize=9, color=BLUE)
    axes.text(9.35, 0.15, "words", ha="center", va="center", fontsize=9, color=GREEN)
    return figure


if __name__ == "__main__":
    main()
