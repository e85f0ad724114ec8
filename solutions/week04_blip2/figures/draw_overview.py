"""Draws two figures of this week: `python solutions/week04_blip2/figures/draw_overview.py`.

Their alternative texts stand in the notebook, beside the pictures. Colours are Okabe and Ito's; whatever a
colour says is also said by a word.
"""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from course_lib.drawing import TRAINED, arrow, box, canvas

HERE = Path(__file__).parent
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#E69F00", "#009E73", "#8A8A8A"


def main() -> None:
    for draw in (two_stages, three_masks):
        draw().savefig(
            HERE / f"{draw.__name__}.png",
            dpi=130,
            bbox_inches="tight",
            facecolor="white",
            metadata={"Software": None},
        )


def word(axes: Axes, x: float, y: float, w: float, text: str, colour: str) -> None:
    axes.add_patch(Rectangle((x, y), w, 0.45, facecolor="white", edgecolor=colour, lw=1.8))
    axes.text(x + w / 2, y + 0.225, text, ha="center", va="center", fontsize=9, family="monospace")


def queries(axes: Axes, x: float, y: float, colour: str = BLUE) -> None:
    """Four small squares for 32 queries."""
    for k in range(4):
        axes.add_patch(
            Rectangle((x + 0.24 * k, y), 0.19, 0.19, facecolor=colour, edgecolor="black", linewidth=0.7)
        )


def two_stages() -> Figure:
    figure, axes = canvas(11.5, 6.6, 13.4, 7.7)
    # stage 1
    axes.text(
        0.1, 7.4, "Stage 1: three tasks, and no language model", fontsize=11, weight="bold", va="center"
    )
    box(axes, 0.1, 5.3, 1.3, 1.0, "picture", "white")
    arrow(axes, 1.4, 5.8, 1.9, 5.8)
    box(axes, 1.9, 5.3, 1.6, 1.0, "image\nencoder\n(frozen)")
    arrow(axes, 3.5, 5.8, 4.5, 5.8)
    axes.text(4.0, 5.95, "257 tokens", ha="center", fontsize=8)
    box(axes, 4.5, 4.6, 3.6, 1.9, "", TRAINED)
    axes.text(6.3, 6.2, "Q-Former", ha="center", va="center", fontsize=10, weight="bold")
    axes.text(5.4, 5.65, "query side:\nreads the picture", ha="center", va="center", fontsize=8.5)
    axes.text(7.25, 5.65, "text side:\ndoes not", ha="center", va="center", fontsize=8.5)
    axes.text(6.3, 4.9, "one self-attention, three masks", ha="center", va="center", fontsize=8.5)
    axes.plot([4.5, 8.1], [5.17, 5.17], color="#B36B00", lw=0.8)
    axes.plot([6.4, 6.4], [5.17, 6.0], color="#B36B00", lw=0.8)
    queries(axes, 4.75, 4.05)
    axes.text(5.22, 3.92, "32 queries (trained)", ha="center", va="top", fontsize=8)
    arrow(axes, 5.22, 4.26, 5.22, 4.6, colour=BLUE)
    x = 6.35
    for text, w in (("[CLS]", 0.8), ("a", 0.35), ("red", 0.55), ("ring", 0.65)):
        word(axes, x, 3.85, w, text, GREEN)
        x += w + 0.06
    arrow(axes, 7.45, 4.32, 7.45, 4.6, colour=GREEN)
    axes.text(9.05, 4.07, "[DEC] in the place of [CLS] says: write", fontsize=8.5, va="center")
    for k, (name, asks) in enumerate(
        (
            ("contrast", "which text belongs to which picture?"),
            ("match", "is this pair right?"),
            ("write", "what does the picture show?"),
        )
    ):
        y = 6.25 - 0.75 * k
        arrow(axes, 8.1, 5.6, 8.95, y, colour=GREY)
        axes.text(9.05, y, name, fontsize=9.5, weight="bold", va="center")
        axes.text(10.25, y, asks, fontsize=9, va="center")
    # stage 2
    axes.plot([0.1, 13.3], [3.35, 3.35], color="#C8D0D8", lw=1)
    axes.text(
        0.1, 3.0, "Stage 2: what was read becomes a prefix of a language model", fontsize=11, weight="bold"
    )
    box(axes, 0.1, 1.35, 1.3, 1.0, "picture", "white")
    arrow(axes, 1.4, 1.85, 1.9, 1.85)
    box(axes, 1.9, 1.35, 1.6, 1.0, "image\nencoder\n(frozen)")
    arrow(axes, 3.5, 1.85, 4.0, 1.85)
    box(axes, 4.0, 1.35, 2.0, 1.0, "Q-Former,\nquery side alone", TRAINED)
    arrow(axes, 6.0, 1.85, 6.45, 1.85)
    box(axes, 6.45, 1.35, 1.1, 1.0, "one\nmatrix", TRAINED)
    queries(axes, 4.53, 0.75)
    arrow(axes, 5.0, 0.96, 5.0, 1.35, colour=BLUE)
    axes.text(5.0, 0.62, "32 queries (trained)", ha="center", va="top", fontsize=8)
    box(axes, 8.5, 1.85, 4.8, 0.8, "language model (frozen)")
    arrow(axes, 7.55, 1.7, 8.5, 1.15)
    queries(axes, 8.62, 1.0)
    x = 9.85
    for text, w in (("a", 0.4), ("red", 0.6), ("___", 0.65)):
        word(axes, x, 0.87, w, text, GREEN)
        x += w + 0.08
    for x in (9.1, 10.8):
        arrow(axes, x, 1.36, x, 1.85)
    axes.text(9.1, 0.8, "32 tokens in front", ha="center", va="top", fontsize=8)
    axes.text(10.85, 0.8, "then the words", ha="center", va="top", fontsize=8)
    box(axes, 0.1, 0.05, 0.45, 0.32, "", TRAINED)
    axes.text(0.7, 0.2, "trained", fontsize=9, va="center")
    box(axes, 1.7, 0.05, 0.45, 0.32, "")
    axes.text(2.3, 0.2, "frozen", fontsize=9, va="center")
    return figure


def three_masks() -> Figure:
    figure, axes = canvas(12, 4.9, 15.2, 6.2)
    q, names = 3, ["query 1", "query 2", "query 3", "word 1", "word 2", "word 3", "word 4"]
    s, size = len(names), 0.5
    for k, (task, below) in enumerate(
        (
            ("contrast", "two encoders, apart"),
            ("match", "one encoder for the pair"),
            ("write", "an encoder, and a writer behind it"),
        )
    ):
        left, top = 1.5 + 4.7 * k, 4.75
        axes.text(left + s * size / 2, 6.0, task, ha="center", va="center", fontsize=12, weight="bold")
        for i in range(s):
            for j in range(s):
                sees = {
                    "contrast": (i < q) == (j < q),
                    "match": True,
                    "write": j < q or (i >= q and j <= i),
                }[task]
                x, y = left + j * size, top - (i + 1) * size
                colour = (BLUE if j < q else GREEN) if sees else "white"
                axes.add_patch(Rectangle((x, y), size, size, facecolor=colour, edgecolor="#B8C0C8", lw=0.8))
                if sees:
                    axes.text(
                        x + size / 2, y + size / 2, "1", ha="center", va="center", fontsize=8, color="white"
                    )
        for place in range(s):
            middle = (place + 0.5) * size
            axes.text(
                left + middle, top + 0.08, names[place], ha="center", va="bottom", fontsize=8, rotation=60
            )
            if k == 0:
                axes.text(left - 0.1, top - middle, names[place], ha="right", va="center", fontsize=8)
        span = s * size
        for a, b in (
            ((left + q * size,) * 2, (top, top - span)),
            ((left, left + span), (top - q * size,) * 2),
        ):
            axes.plot(a, b, color="black", lw=1.8)
        axes.add_patch(Rectangle((left, top - span), span, span, facecolor="none", edgecolor="black", lw=1.8))
        axes.text(left + span / 2, top - span - 0.3, below, ha="center", va="center", fontsize=9.5)
    axes.text(
        7.6,
        0.25,
        "the row looks, the column is looked at; 1 (filled) = keep: it may see it",
        ha="center",
        va="center",
        fontsize=9.5,
    )
    return figure


if __name__ == "__main__":
    main()
