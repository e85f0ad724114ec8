"""Draws the static figures of this week: `python solutions/week03_flamingo/figures/draw.py`.

Their alternative texts stand in the notebook, beside the pictures. Colours are Okabe and Ito's; whatever a
colour says is also said by a word.
"""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch

HERE = Path(__file__).parent
BLUE, ORANGE, GREEN = "#0072B2", "#E69F00", "#009E73"
FROZEN, TRAINED = "#E8EEF3", "#FFE7B3"


def main() -> None:
    for draw in (gated_block,):
        figure = draw()
        figure.savefig(
            HERE / f"{draw.__name__}.png",
            dpi=130,
            bbox_inches="tight",
            facecolor="white",
            metadata={"Software": None},
        )


def canvas(width: float, height: float, xmax: float, ymax: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height))
    axes = figure.add_subplot()
    axes.set_xlim(0, xmax)
    axes.set_ylim(0, ymax)
    axes.set_axis_off()
    return figure, axes


def box(
    axes: Axes, x: float, y: float, w: float, h: float, text: str, colour: str = FROZEN, size: float = 9
) -> None:
    style = "round,pad=0,rounding_size=0.12"
    edge = "#B36B00" if colour == TRAINED else "#50606E"
    axes.add_patch(
        FancyBboxPatch((x, y), w, h, boxstyle=style, facecolor=colour, edgecolor=edge, linewidth=1.3)
    )
    axes.text(x + w / 2, y + h / 2, text, ha="center", va="center", fontsize=size)


def arrow(
    axes: Axes,
    x0: float,
    y0: float,
    x1: float,
    y1: float,
    *,
    colour: str = "black",
    dashed: bool = False,
    width: float = 1.4,
) -> None:
    axes.add_patch(
        FancyArrowPatch(
            (x0, y0),
            (x1, y1),
            arrowstyle="-|>",
            mutation_scale=11,
            color=colour,
            linestyle="--" if dashed else "-",
            linewidth=width,
            shrinkA=0,
            shrinkB=0,
        )
    )


def gated_block() -> Figure:
    figure, axes = canvas(12.5, 4.6, 16.2, 6.0)
    line, branch = 0.85, 2.6  # heights: the text, and what is added to it
    axes.plot([0.2, 14.0], [line, line], color=ORANGE, linewidth=5, solid_capstyle="butt", zorder=0)
    arrow(axes, 13.7, line, 14.2, line, colour=ORANGE, width=3)
    axes.text(0.2, 0.25, "text, b t d_text: nothing stands on its way but two plus signs", fontsize=9)
    box(axes, 14.2, 0.25, 1.9, 1.2, "a layer of the\nlanguage model\n(frozen)", size=8.5)

    branches = (
        (0.6, "input_layernorm\n(RMSNorm)", "masked\ncross-attention", "alpha_cross_attn"),
        (7.4, "post_attention_\nlayernorm\n(RMSNorm)", "feed-forward", "alpha_dense"),
    )
    for x, norm, what, gate in branches:
        arrow(axes, x + 0.8, line, x + 0.8, branch)
        box(axes, x, branch, 1.65, 1.0, norm, TRAINED, size=7.5)
        arrow(axes, x + 1.65, branch + 0.5, x + 2.15, branch + 0.5)
        box(axes, x + 2.15, branch, 1.85, 1.0, what, TRAINED)
        arrow(axes, x + 4.0, branch + 0.5, x + 4.4, branch + 0.5)
        box(axes, x + 4.4, branch, 1.75, 1.0, f"gate: × tanh\n{gate}\n(0 at first)", TRAINED, size=7.5)
        plus = x + 5.27
        arrow(axes, plus, branch, plus, line + 0.24)
        axes.add_patch(Circle((plus, line), 0.24, facecolor="white", edgecolor="black", linewidth=1.3))
        axes.text(plus, line - 0.01, "+", ha="center", va="center", fontsize=13)

    box(axes, 1.4, 4.6, 2.4, 0.85, "pictures, b s d_visual\n(from the resampler)", "white", size=8.5)
    arrow(axes, 3.3, 4.6, 3.3, branch + 1.0, colour=BLUE)
    axes.text(3.2, 4.1, "K, V", fontsize=9, color=BLUE, ha="right")
    box(axes, 4.1, 4.6, 2.0, 0.85, "media mask, b t s\nTrue = keep", "white", size=8.5)
    arrow(axes, 4.4, 4.6, 4.1, branch + 1.0, dashed=True)
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
