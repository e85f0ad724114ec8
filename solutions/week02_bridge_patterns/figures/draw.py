"""Draws the static figures of this week: `python solutions/week02_bridge_patterns/figures/draw.py`.

Their alternative texts stand in the notebook, beside the pictures. Colours are Okabe and Ito's; whatever a
colour says is also said by a word.
"""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from course_lib.drawing import FROZEN, TRAINED, arrow, box, canvas

HERE = Path(__file__).parent
BLUE, ORANGE, GREEN, PURPLE, SKY, GREY = "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D9D9D9"


def main() -> None:
    for draw in (three_bridges, pixel_shuffle, merge, qformer, gradients):
        figure = draw()
        figure.savefig(
            HERE / f"{draw.__name__}.png",
            dpi=130,
            bbox_inches="tight",
            facecolor="white",
            metadata={"Software": None},
        )


def tokens(
    axes: Axes, x: float, y: float, n: int, colour: str, size: float = 0.2, gap: float = 0.06
) -> float:
    """n small squares in a row; returns where the row ends."""
    for k in range(n):
        axes.add_patch(
            Rectangle((x + k * (size + gap), y), size, size, facecolor=colour, edgecolor="black", lw=0.7)
        )
    return x + n * (size + gap) - gap


def three_bridges() -> Figure:
    figure, axes = canvas(11, 6.2, 12.4, 7.4)
    axes.set_ylim(-0.15, 7.1)
    box(axes, 0.1, 3.0, 1.3, 1.2, "picture", "white")
    box(axes, 1.9, 2.6, 1.7, 2.0, "image\nencoder\n(frozen)")
    arrow(axes, 1.4, 3.6, 1.9, 3.6)
    axes.text(2.75, 2.35, "b v d_visual", ha="center", va="top", fontsize=8, family="monospace")

    # 1 project and concatenate
    arrow(axes, 3.6, 4.2, 4.5, 5.9)
    box(axes, 4.5, 5.4, 1.6, 1.1, "linear\nor MLP", TRAINED)
    arrow(axes, 6.1, 5.95, 6.5, 5.95)
    end = tokens(axes, 6.6, 5.85, 9, BLUE)
    end = tokens(axes, end + 0.12, 5.85, 4, ORANGE)
    arrow(axes, end + 0.08, 5.95, 10.5, 5.95)
    box(axes, 10.5, 5.2, 1.8, 1.5, "language\nmodel\n(frozen)")
    axes.text(4.5, 6.85, "1  Project and concatenate", fontsize=11, weight="bold")
    axes.text(6.6, 5.6, "9 picture tokens, then the words", fontsize=8, va="top")

    # 2 gated cross-attention
    arrow(axes, 3.6, 3.6, 8.5, 3.25)
    box(axes, 8.5, 2.8, 1.5, 0.9, "gated cross-\nattention", TRAINED)
    box(axes, 10.5, 2.5, 1.8, 1.5, "language\nmodel\n(frozen)")
    arrow(axes, 10.0, 3.25, 10.5, 3.25)
    end = tokens(axes, 6.6, 2.55, 1, "white")
    end = tokens(axes, end + 0.12, 2.55, 4, ORANGE)
    arrow(axes, end + 0.08, 2.68, 8.5, 3.0)
    axes.text(4.5, 4.25, "2  Let the words look", fontsize=11, weight="bold")
    axes.text(6.6, 2.4, "an <image> tag, then the words", fontsize=8, va="top")

    # 3 queries
    arrow(axes, 3.6, 3.0, 4.5, 0.75)
    box(axes, 4.5, 0.2, 1.6, 1.1, "Q-Former", TRAINED)
    tokens(axes, 4.87, 1.42, 4, GREEN, size=0.16)
    axes.text(6.0, 1.5, "learned queries", fontsize=8, va="center")
    arrow(axes, 6.1, 0.75, 6.5, 0.75)
    end = tokens(axes, 6.6, 0.65, 4, GREEN)
    end = tokens(axes, end + 0.12, 0.65, 4, ORANGE)
    arrow(axes, end + 0.08, 0.75, 10.5, 0.75)
    box(axes, 10.5, 0.0, 1.8, 1.5, "language\nmodel\n(frozen)")
    axes.text(4.5, 1.8, "3  Ask with queries", fontsize=11, weight="bold")
    axes.text(6.6, 0.4, "one token a query, then the words", fontsize=8, va="top")

    box(axes, 0.1, 0.35, 0.45, 0.35, "", TRAINED)
    axes.text(0.7, 0.52, "you train this", fontsize=9, va="center")
    box(axes, 0.1, 0.9, 0.45, 0.35, "", FROZEN)
    axes.text(0.7, 1.07, "frozen", fontsize=9, va="center")
    return figure


def pixel_shuffle() -> Figure:
    figure, axes = canvas(9, 3.6, 10.2, 4.2)
    fills = {0: SKY, 1: ORANGE, 2: GREEN, 3: PURPLE}
    for row in range(4):
        for column in range(4):
            x, y = 0.3 + column * 0.8, 3.2 - row * 0.8
            fill = fills[2 * (row // 2) + column // 2]
            axes.add_patch(Rectangle((x, y), 0.8, 0.8, facecolor=fill, edgecolor="black", lw=0.7))
            axes.text(x + 0.4, y + 0.4, str(4 * row + column), ha="center", va="center", fontsize=11)
    for group in range(2):
        axes.add_patch(Rectangle((0.3, 2.4 - 1.6 * group), 3.2, 1.6, fill=False, lw=2.2))
    axes.add_patch(Rectangle((0.3, 0.8), 1.6, 3.2, fill=False, lw=2.2))
    axes.text(1.9, 0.55, "16 tokens of d numbers, read row by row", ha="center", va="top", fontsize=9)
    arrow(axes, 3.8, 2.4, 4.6, 2.4)
    for token in range(4):
        y = 3.25 - token * 0.8
        first = 8 * (token // 2) + 2 * (token % 2)
        for k, patch in enumerate((first, first + 1, first + 4, first + 5)):
            x = 4.9 + k * 1.25
            axes.add_patch(Rectangle((x, y), 1.25, 0.6, facecolor=fills[token], edgecolor="black", lw=0.7))
            axes.text(x + 0.62, y + 0.3, str(patch), ha="center", va="center", fontsize=11)
    for k, (i, j) in enumerate(((0, 0), (0, 1), (1, 0), (1, 1))):
        axes.text(4.9 + k * 1.25 + 0.62, 3.95, f"i={i} j={j}", ha="center", fontsize=9, family="monospace")
    axes.text(
        7.4,
        0.55,
        "4 tokens of 4 d numbers: in each block of 2 x 2,\n"
        "row i slowest, then column j, channel c fastest: 0, 1, 4, 5",
        ha="center",
        va="top",
        fontsize=9,
    )
    return figure


def merge() -> Figure:
    figure, axes = canvas(10.5, 4.3, 13.2, 5.2)
    rows = [["a", "IMG", "b", "IMG", "c"], ["d", "e", "f"], ["IMG", "g"]]
    axes.text(0.1, 4.95, "input_ids (a list: rows of any length)", fontsize=9, weight="bold")
    axes.text(5.0, 4.95, "embeds, with v = 3 picture rows for every IMG", fontsize=9, weight="bold")
    picture = 0
    for r, row in enumerate(rows):
        y = 4.2 - r * 1.5
        for k, word in enumerate(row):
            fill = BLUE if word == "IMG" else "white"
            axes.add_patch(
                Rectangle((0.1 + k * 0.72, y), 0.68, 0.5, facecolor=fill, edgecolor="black", lw=0.8)
            )
            ink = "white" if word == "IMG" else "black"
            axes.text(0.44 + k * 0.72, y + 0.25, word, ha="center", va="center", fontsize=8, color=ink)
        arrow(axes, 3.9, y + 0.25, 4.8, y + 0.25)
        cells: list[tuple[str, str]] = []
        for word in row:
            if word == "IMG":
                cells += [(f"{'PQR'[picture]}{k}", BLUE) for k in range(3)]
                picture += 1
            else:
                cells.append((word, "white"))
        real = len(cells)
        cells += [("0", GREY)] * (9 - real)
        for k, (text, fill) in enumerate(cells):
            x = 5.0 + k * 0.72
            axes.add_patch(Rectangle((x, y), 0.68, 0.5, facecolor=fill, edgecolor="black", lw=0.8))
            ink = "white" if fill == BLUE else "black"
            axes.text(x + 0.34, y + 0.25, text, ha="center", va="center", fontsize=8, color=ink)
            axes.text(x + 0.34, y - 0.18, "yes" if k < real else "no", ha="center", va="center", fontsize=7)
            axes.text(x + 0.34, y - 0.45, str(k) if k < real else "0", ha="center", va="center", fontsize=7)
            hidden = fill != "white"
            axes.text(
                x + 0.34, y - 0.72, "-100" if hidden else f"'{text}'", ha="center", va="center", fontsize=7
            )
        for name, depth in (("keep", 0.18), ("positions", 0.45), ("labels", 0.72)):
            axes.text(11.7, y - depth, name, fontsize=8, va="center")
    return figure


def qformer() -> Figure:
    figure, axes = canvas(9.5, 4.6, 11.2, 5.4)
    tokens(axes, 0.4, 0.25, 8, GREEN, size=0.22)
    axes.text(1.5, 0.05, "n_queries learned vectors, N(0, 0.02)", ha="center", va="top", fontsize=8)
    arrow(axes, 1.5, 0.55, 1.5, 0.95)
    names = (
        "self-attention: queries read queries",
        "cross-attention: queries read the picture",
        "feed-forward, each query alone",
    )
    for k, name in enumerate(names):
        box(axes, 0.2, 0.95 + k * 1.0, 4.6, 0.6, name, "#E4F3EC" if k != 1 else "#DCEBF7", size=9)
        axes.text(4.95, 1.25 + k * 1.0, "+ input, then LayerNorm", fontsize=8, va="center", color="#444444")
        arrow(axes, 1.5, 1.55 + k * 1.0, 1.5, 1.95 + k * 1.0)
    axes.add_patch(Rectangle((0.05, 0.8), 7.05, 2.95, fill=False, lw=1.2, linestyle=":"))
    axes.text(7.0, 3.55, "n_layers times", ha="right", fontsize=8)
    box(axes, 0.2, 3.95, 4.6, 0.55, "to_text: d_model to d_text", "#E4F3EC")
    arrow(axes, 1.5, 4.5, 1.5, 4.85)
    tokens(axes, 0.4, 4.9, 8, GREEN, size=0.22)
    axes.text(2.75, 5.0, "b n_queries d_text, whatever v is", fontsize=9, va="center")
    box(axes, 8.0, 1.75, 2.9, 1.0, "picture: b v d_visual\n(frozen encoder)", FROZEN, size=8.5)
    arrow(axes, 8.0, 2.45, 4.8, 2.45, colour=BLUE)
    axes.text(7.05, 2.58, "K, V", fontsize=9, color=BLUE, ha="right")
    axes.text(8.0, 1.5, "read on layers 0, 2, 4, ... only", fontsize=8, va="top")
    return figure


def gradients() -> Figure:
    figure, axes = canvas(10, 2.6, 12, 3.0)
    places = [("picture", 0.1, "white"), ("encoder\nfrozen", 2.2, FROZEN), ("bridge\ntrained", 4.6, TRAINED)]
    places += [("language model\nfrozen", 7.0, FROZEN), ("loss", 10.2, "white")]
    for name, x, colour in places:
        box(axes, x, 1.2, 1.7, 0.9, name, colour)
    for left, right in ((1.82, 2.18), (3.92, 4.58), (6.32, 6.98), (8.72, 10.18)):
        arrow(axes, left, 1.85, right, 1.85)
    arrow(axes, 10.2, 1.4, 8.72, 1.4, colour="#D55E00", dashed=True)
    arrow(axes, 7.0, 1.4, 6.32, 1.4, colour="#D55E00", dashed=True)
    axes.text(
        7.85, 0.95, "the gradient passes through:\nits weights get none", ha="center", va="top", fontsize=8.5
    )
    axes.text(5.45, 0.95, "its weights\nget a gradient", ha="center", va="top", fontsize=8.5)
    axes.text(3.05, 0.95, "no gradient arrives: its\noutput can be kept", ha="center", va="top", fontsize=8.5)
    axes.text(6.0, 2.45, "solid: forward      dashed: backward", ha="center", fontsize=9)
    return figure


if __name__ == "__main__":
    main()
