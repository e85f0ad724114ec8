"""Draws the static figures of this week: `python solutions/week03_flamingo/figures/draw.py`.

Their alternative texts stand in the notebook, beside the pictures. Colours are Okabe and Ito's; whatever a
colour says is also said by a word.
"""

from itertools import pairwise
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle

from course_lib.drawing import FROZEN, TRAINED, arrow, box, canvas

HERE = Path(__file__).parent
BLUE, ORANGE, GREEN, PURPLE, SKY, GREY = "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#8A8A8A"


def main() -> None:
    for draw in (flamingo, which_picture, gated_block, cache):
        figure = draw()
        figure.savefig(
            HERE / f"{draw.__name__}.png",
            dpi=130,
            bbox_inches="tight",
            facecolor="white",
            metadata={"Software": None},
        )


def word(axes: Axes, x: float, y: float, w: float, text: str, colour: str, mark: str = "") -> None:
    axes.add_patch(Rectangle((x, y), w, 0.5, facecolor="white", edgecolor=colour, lw=1.8))
    axes.text(x + w / 2, y + 0.25, text, ha="center", va="center", fontsize=9, family="monospace")
    if mark:
        axes.text(x + w / 2, y - 0.12, mark, ha="center", va="top", fontsize=9, weight="bold", color=colour)


def flamingo() -> Figure:
    figure, axes = canvas(11, 6.4, 12.4, 7.3)
    for k, colour in enumerate((BLUE, GREEN)):
        y = 4.6 - 2.2 * k
        box(axes, 0.1, y, 1.3, 1.1, f"picture {k + 1}", "white")
        arrow(axes, 1.4, y + 0.55, 1.8, y + 0.55, colour=colour)
        box(axes, 1.8, y, 1.5, 1.1, "image\nencoder\n(frozen)")
        arrow(axes, 3.3, y + 0.55, 3.7, y + 0.55, colour=colour)
        box(axes, 3.7, y, 1.5, 1.1, "Perceiver\nresampler", TRAINED)
        for q in range(4):
            axes.add_patch(
                Rectangle((5.4 + 0.2 * q, y + 0.47), 0.16, 0.16, facecolor=colour, edgecolor="black", lw=0.7)
            )
    axes.text(5.75, 4.6, "4 latents", ha="center", va="top", fontsize=8)
    axes.text(5.75, 2.4, "4 latents", ha="center", va="top", fontsize=8)
    # the stack, from below
    x, w = 8.2, 3.2
    rows = [
        (0.75, "embedding (frozen)", FROZEN),
        (1.6, "GATED XATTN-DENSE", TRAINED),
        (2.35, "layer 0 (frozen)", FROZEN),
        (3.1, "layer 1 (frozen)", FROZEN),
        (3.95, "GATED XATTN-DENSE", TRAINED),
        (4.7, "layer 2 (frozen)", FROZEN),
        (5.45, "layer 3 (frozen)", FROZEN),
        (6.2, "next word (frozen)", FROZEN),
    ]
    for y, text, colour in rows:
        box(axes, x, y, w, 0.55, text, colour, size=9)
    for (low, _, _), (high, _, _) in pairwise(rows):
        arrow(axes, x + w / 2, low + 0.55, x + w / 2, high)
    for block in (1.6, 3.95):
        for k, colour in enumerate((BLUE, GREEN)):
            arrow(axes, 6.3, 5.15 - 2.2 * k, x, block + 0.36 - 0.16 * k, colour=colour)
    axes.text(5.75, 5.45, "keys and values", ha="center", fontsize=8)
    arrow(axes, x + w / 2, 0.45, x + w / 2, 0.75)
    axes.text(
        x + w / 2,
        0.3,
        "<image> a red ring <end> <image> a ___",
        ha="center",
        va="center",
        fontsize=9,
        family="monospace",
    )
    axes.text(x + w + 0.1, 1.87, "before\nlayer 0", va="center", fontsize=8)
    axes.text(x + w + 0.1, 4.22, "before\nlayer 2", va="center", fontsize=8)
    box(axes, 0.1, 0.25, 0.45, 0.35, "", TRAINED)
    axes.text(0.7, 0.42, "you train this", fontsize=9, va="center")
    box(axes, 0.1, 0.8, 0.45, 0.35, "", FROZEN)
    axes.text(0.7, 0.97, "frozen", fontsize=9, va="center")
    axes.text(3.7, 0.42, "tags and words: one row, no picture in it", fontsize=9, va="center")
    return figure


def which_picture() -> Figure:
    figure, axes = canvas(10.5, 3.6, 12.2, 4.1)
    words = [
        ("my", GREY, "0"),
        ("things", GREY, "0"),
        ("<end>", GREY, "0"),
        ("<image>", BLUE, "1"),
        ("a", BLUE, "1"),
        ("ring", BLUE, "1"),
        ("<end>", BLUE, "1"),
        ("<image>", GREEN, "2"),
        ("a", GREEN, "2"),
        ("cross", GREEN, "2"),
    ]
    widths = [0.7, 1.1, 1.0, 1.3, 0.6, 0.9, 1.0, 1.3, 0.6, 1.0]
    x, places = 0.9, []
    for (text, colour, mark), w in zip(words, widths, strict=True):
        word(axes, x, 0.9, w, text, colour, mark)
        places.append(x + w / 2)
        x += w + 0.1
    axes.text(0.75, 0.62, "index", ha="right", fontsize=9, weight="bold")
    axes.text(0.75, 1.15, "row", ha="right", va="center", fontsize=9, weight="bold")
    for centre, number, colour, mine in (
        (places[4] + 0.1, 1, BLUE, range(3, 7)),
        (places[8] + 0.1, 2, GREEN, range(7, 10)),
    ):
        box(axes, centre - 0.75, 2.9, 1.5, 0.9, f"picture {number}", "white")
        for k in mine:
            arrow(axes, places[k], 1.42, centre + 0.22 * (k - (mine[0] + mine[-1]) / 2), 2.88, colour=colour)
    axes.text(places[1], 2.2, "these read\nno picture", ha="center", va="center", fontsize=9, color="#555555")
    axes.text(
        (places[0] + places[-1]) / 2,
        0.15,
        "an arrow: this word's cross-attention reads that picture, and no other",
        ha="center",
        fontsize=9,
    )
    return figure


def cache() -> Figure:
    figure, axes = canvas(10.5, 3.9, 12.2, 4.5)
    axes.text(0.1, 4.2, "first call", fontsize=10, weight="bold", va="center")
    x = 2.0
    for text, w in (("<image>", 1.3), ("what", 0.9), ("colour", 1.1), ("?", 0.5)):
        word(axes, x, 3.95, w, text, BLUE)
        x += w + 0.1
    axes.text(x + 0.2, 4.2, "each with its row of the mask", fontsize=9, va="center")
    arrow(axes, 3.9, 3.9, 3.9, 3.3)
    box(axes, 2.0, 2.65, 4.1, 0.65, "cache: keys and values of 4 tokens", "white")
    axes.text(0.1, 2.0, "second call", fontsize=10, weight="bold", va="center")
    word(axes, 2.0, 1.75, 0.8, "red", BLUE)
    arrow(axes, 6.3, 2.95, 7.4, 2.2, bend=-0.2)
    arrow(axes, 2.9, 2.0, 7.3, 2.0)
    box(axes, 7.4, 1.6, 2.4, 0.8, "language model\nwith gated blocks", TRAINED)
    box(axes, 2.0, 0.35, 4.1, 0.65, "mask: one new row, the last one again", "white")
    arrow(axes, 6.1, 0.68, 8.2, 1.55, bend=0.15)
    axes.text(10.0, 2.0, "the next word", fontsize=9, va="center")
    axes.text(
        6.3,
        0.3,
        "not in the cache: say it at every call,\nor the new word sees no picture",
        fontsize=9,
        va="center",
    )
    return figure


def gated_block() -> Figure:
    figure, axes = canvas(12.5, 4.6, 16.2, 6.0)
    line, branch = 0.85, 2.6  # heights: the text, and what is added to it
    axes.plot([0.2, 14.0], [line, line], color=ORANGE, linewidth=5, solid_capstyle="butt", zorder=0)
    arrow(axes, 13.7, line, 14.2, line, colour=ORANGE, width=3, shrink=0)
    axes.text(0.2, 0.25, "text, b t d_text: nothing stands on its way but two plus signs", fontsize=9)
    box(axes, 14.2, 0.25, 1.9, 1.2, "a layer of the\nlanguage model\n(frozen)", size=8.5)

    branches = (
        (0.6, "input_layernorm\n(RMSNorm)", "masked\ncross-attention", "alpha_cross_attn"),
        (7.4, "post_attention_\nlayernorm\n(RMSNorm)", "feed-forward", "alpha_dense"),
    )
    for x, norm, what, gate in branches:
        arrow(axes, x + 0.8, line, x + 0.8, branch, shrink=0)
        box(axes, x, branch, 1.65, 1.0, norm, TRAINED, size=7.5)
        arrow(axes, x + 1.65, branch + 0.5, x + 2.15, branch + 0.5, shrink=0)
        box(axes, x + 2.15, branch, 1.85, 1.0, what, TRAINED)
        arrow(axes, x + 4.0, branch + 0.5, x + 4.4, branch + 0.5, shrink=0)
        box(axes, x + 4.4, branch, 1.75, 1.0, f"gate: × tanh\n{gate}\n(0 at first)", TRAINED, size=7.5)
        plus = x + 5.27
        arrow(axes, plus, branch, plus, line + 0.24, shrink=0)
        axes.add_patch(Circle((plus, line), 0.24, facecolor="white", edgecolor="black", linewidth=1.3))
        axes.text(plus, line - 0.01, "+", ha="center", va="center", fontsize=13)

    box(axes, 1.4, 4.6, 2.4, 0.85, "pictures, b s d_visual\n(from the resampler)", "white", size=8.5)
    arrow(axes, 3.3, 4.6, 3.3, branch + 1.0, colour=BLUE, shrink=0)
    axes.text(3.2, 4.1, "K, V", fontsize=9, color=BLUE, ha="right")
    box(axes, 4.1, 4.6, 2.0, 0.85, "media mask, b t s\nTrue = keep", "white", size=8.5)
    arrow(axes, 4.4, 4.6, 4.1, branch + 1.0, dashed=True, shrink=0)
    axes.text(2.5, branch + 0.62, "Q", fontsize=9, color=BLUE, ha="center")
    axes.text(0.6, 5.7, "1  read", fontsize=11, weight="bold")
    axes.text(7.4, 5.7, "2  think it over", fontsize=11, weight="bold")
    axes.text(
        7.4,
        5.0,
        "every token goes this way, with a picture\nor without: hence a gate of its own",
        fontsize=8.5,
        va="center",
    )
    box(axes, 13.0, 5.45, 0.4, 0.4, "", TRAINED)
    axes.text(13.6, 5.65, "trained", fontsize=9, va="center")
    box(axes, 14.7, 5.45, 0.4, 0.4, "", FROZEN)
    axes.text(15.3, 5.65, "frozen", fontsize=9, va="center")
    return figure


if __name__ == "__main__":
    main()
