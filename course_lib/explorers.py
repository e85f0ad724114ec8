"""Things to turn and look at: what concatenation does to a picture, and what a picture costs.

With ipywidgets (7.7 or newer) in a live kernel an explorer is a row of controls above a figure. Without, it
is the figure alone, complete; `is_live` says which. The learner's own functions and modules do the computing:
nothing here knows an answer.

Axes in this file:
    v  visual tokens      t  text tokens      s  the sequence: v and t      d  width of a token
"""

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle
from torch import nn

from course_lib.exhibits import BLUE, GREY, HATCHES, ORANGE, Exhibit, Table, exhibit

STAGES = (
    "patch tokens from the encoder",
    "projected to the width of a word",
    "beside the words",
    "one sequence",
)
BRIDGES = ("linear", "mlp", "pixel_shuffle", "qformer", "gated_cross_attention")


def is_live() -> bool:
    """True where controls can move: ipywidgets is there, and a kernel to answer them."""
    if importlib.util.find_spec("ipywidgets") is None or importlib.util.find_spec("IPython") is None:
        return False
    from IPython.core.getipython import get_ipython

    return getattr(get_ipython(), "kernel", None) is not None


def explorer(
    draw: Callable[..., Exhibit], controls: Callable[[Any], dict[str, Any]], live: bool | None
) -> Any:
    """A figure redrawn at every move of a control; the figure alone where nothing can move."""
    if not (is_live() if live is None else live):
        return draw()
    import ipywidgets

    moving = controls(ipywidgets)
    screen = ipywidgets.HTML()

    def redraw(_: object = None) -> None:
        screen.value = draw(**{name: control.value for name, control in moving.items()})._repr_html_()

    for control in moving.values():
        control.observe(redraw, names="value")
    redraw()
    return ipywidgets.VBox([*moving.values(), screen])


# -- project, then concatenate -----------------------------------------------------------------------------


def concatenation_explorer(
    projectors: Mapping[str, nn.Module], d_visual: int, live: bool | None = None
) -> Any:
    """Step by step from patch tokens to one sequence, through the projector one chooses.

    Args:
        projectors: "linear" and "mlp", or others: modules that take v d_visual and give v d_text.
        d_visual: the width they take.
        live: True for controls, False for the figure alone; None decides by the machine.
    """

    def draw(projector: str = next(iter(projectors)), stage: int = 3, pictures_side: int = 3) -> Exhibit:
        return _concatenation(projectors[projector], projector, stage, pictures_side**2, d_visual)

    def controls(widgets: Any) -> dict[str, Any]:
        return {
            "projector": widgets.ToggleButtons(options=list(projectors), description="projector"),
            "stage": widgets.IntSlider(value=0, min=0, max=3, description="step"),
            "pictures_side": widgets.IntSlider(value=3, min=2, max=4, description="patches a side"),
        }

    return explorer(draw, controls, live)


def _concatenation(projector: nn.Module, name: str, stage: int, v: int, d_visual: int) -> Exhibit:
    generator = torch.Generator().manual_seed(0)
    patches = torch.randn(1, v, d_visual, generator=generator)
    with torch.no_grad():
        projected = projector(patches)[0]
    words = "what colour is the ring ?".split()
    d_text = projected.shape[1]
    embedded = torch.randn(len(words), d_text, generator=generator) * projected.std().clamp(min=0.1)
    figure = Figure(figsize=(10, 0.26 * (v + len(words)) + 1.4))
    axes = figure.add_subplot()
    axes.set_xlim(-1, d_visual + 2 * d_text + 17)
    axes.set_ylim(v + len(words) + 1, -3)
    axes.set_aspect("equal", adjustable="box")
    axes.set_axis_off()
    _tokens(axes, patches[0], 0, 0, f"v d_visual\n{v} x {d_visual}")
    if stage >= 1:
        _arrow(axes, d_visual + 0.4, d_visual + 5.6, v / 2 - 0.5, name)
        _tokens(axes, projected, d_visual + 6, 0, f"v d_text\n{v} x {d_text}")
    if stage >= 2:
        _tokens(axes, embedded, d_visual + 6, v + 1, "", edge=ORANGE)
        axes.text(
            d_visual + 5.4, v + 1 + len(words) / 2 - 0.5, "the words", ha="right", va="center", fontsize=8
        )
    if stage >= 3:
        left = d_visual + d_text + 12
        _arrow(axes, d_visual + d_text + 6.6, left - 0.6, (v + len(words)) / 2, "concatenate")
        _tokens(axes, torch.cat([projected, embedded]), left, 0, f"s d_text\n{v + len(words)} x {d_text}")
        for k in range(v + len(words)):
            label = f"patch {k}" if k < v else words[k - v]
            axes.text(left + d_text, k, label, fontsize=6, va="center", color=BLUE if k < v else "black")
        axes.add_patch(
            Rectangle((left - 0.5, v - 0.5), d_text, len(words), fill=False, edgecolor=ORANGE, lw=1.5)
        )
    axes.set_title(f"{name}: {STAGES[stage]}", fontsize=10)
    alt = (
        f"Step {stage}, {name} projector: {STAGES[stage]}. {v} patch tokens of width {d_visual} become {v} "
        f"tokens of width {d_text}; with {len(words)} words they make a sequence of {v + len(words)}. "
        "The number of picture tokens does not change."
    )
    return exhibit(figure, alt)


def _tokens(
    axes: Axes, tokens: torch.Tensor, x: float | int, y: float | int, title: str, edge: str = BLUE
) -> None:
    values = tokens.numpy()
    high = max(float(np.abs(values).max()), 1e-9)
    rows, columns = values.shape
    extent = (x - 0.5, x + columns - 0.5, y + rows - 0.5, y - 0.5)
    axes.imshow(values, cmap="PuOr", vmin=-high, vmax=high, extent=extent)
    axes.add_patch(Rectangle((x - 0.5, y - 0.5), columns, rows, fill=False, edgecolor=edge, lw=1.5))
    axes.text(x + columns / 2 - 0.5, y - 0.8, title, ha="center", va="bottom", fontsize=8)


def _arrow(axes: Axes, left: float | int, right: float | int, y: float | int, text: str) -> None:
    axes.add_patch(FancyArrowPatch((left, y), (right, y), arrowstyle="-|>", mutation_scale=12, color="black"))
    axes.text((left + right) / 2, y - 0.5, text, ha="center", va="bottom", fontsize=8)


# -- what a picture costs ----------------------------------------------------------------------------------


def budget_explorer(token_budget: Callable[..., dict[str, int]], live: bool | None = None) -> Any:
    """How a context window fills up, turn by turn, under every bridge.

    Args:
        token_budget: the exercise's function: (bridge, image_size, patch_size, context, text_per_turn,
            factor, n_queries) -> per_image, turns, left.
        live: True for controls, False for the figure alone; None decides by the machine.
    """

    def draw(
        image_size: int = 336,
        patch_size: int = 14,
        context: int = 8192,
        text_per_turn: int = 60,
        factor: int = 2,
        n_queries: int = 32,
    ) -> Exhibit:
        return _budget(token_budget, image_size, patch_size, context, text_per_turn, factor, n_queries)

    def controls(widgets: Any) -> dict[str, Any]:
        wide = {"style": {"description_width": "initial"}}
        return {
            "image_size": widgets.SelectionSlider(
                options=[224, 336, 448, 672], value=336, description="picture side in pixels", **wide
            ),
            "patch_size": widgets.ToggleButtons(options=[14, 16], description="patch side", **wide),
            "context": widgets.SelectionSlider(
                options=[2048, 4096, 8192, 32768], value=8192, description="context in tokens", **wide
            ),
            "text_per_turn": widgets.IntSlider(
                value=60, min=10, max=400, step=10, description="words' tokens a turn", **wide
            ),
            "factor": widgets.ToggleButtons(options=[2, 4], description="pixel-shuffle factor", **wide),
            "n_queries": widgets.SelectionSlider(
                options=[16, 32, 64], value=32, description="queries", **wide
            ),
        }

    return explorer(draw, controls, live)


def _budget(
    token_budget: Callable[..., dict[str, int]],
    image_size: int,
    patch_size: int,
    context: int,
    text_per_turn: int,
    factor: int,
    n_queries: int,
) -> Exhibit:
    rows: list[list[object]] = []
    figure = Figure(figsize=(9, 3.2))
    axes = figure.add_subplot()
    for y, bridge in enumerate(BRIDGES):
        sizes = (image_size, patch_size, context, text_per_turn)
        try:
            found = token_budget(bridge, *sizes, factor=factor, n_queries=n_queries)
        except ValueError as problem:
            rows.append([bridge, "does not divide", "", ""])
            axes.text(context * 0.01, y, str(problem), fontsize=7, va="center")
            continue
        rows.append([bridge, found["per_image"], found["turns"], found["left"]])
        _turns(axes, y, found, text_per_turn, context)
    labels = [f"{row[0]}\n{row[2]} turns" if row[2] != "" else str(row[0]) for row in rows]
    axes.set_yticks(range(len(BRIDGES)), labels, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(0, context)
    axes.set_xlabel(f"tokens of a context of {context:,}")
    axes.set_title(f"one picture of {image_size} pixels and {text_per_turn} text tokens a turn", fontsize=10)
    handles = [
        Rectangle((0, 0), 1, 1, facecolor=BLUE, label="pictures"),
        Rectangle((0, 0), 1, 1, facecolor=ORANGE, hatch=HATCHES[1], edgecolor="white", label="text"),
        Rectangle((0, 0), 1, 1, facecolor="white", edgecolor=GREY, label="left over"),
    ]
    axes.legend(handles=handles, frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    said = "; ".join(f"{row[0]}: {row[1]} tokens a picture, {row[2]} turns, {row[3]} left" for row in rows)
    table = Table(["bridge", "tokens a picture", "turns", "tokens left"], rows)
    return exhibit(figure, f"Bars: a context of {context} tokens filled turn by turn. {said}.", table)


def _turns(axes: Axes, y: int, found: Mapping[str, int], text_per_turn: int, context: int) -> None:
    """Turns one after another where one can tell them apart, else the two totals."""
    picture, turns = found["per_image"], found["turns"]
    blocks: Sequence[tuple[int, int]] = [(picture, text_per_turn)] * turns
    if turns > 60:
        blocks = [(picture * turns, text_per_turn * turns)]
    x = 0
    for seen, said in blocks:
        axes.barh(y, seen, left=x, color=BLUE, height=0.6)
        axes.barh(
            y, said, left=x + seen, color=ORANGE, hatch=HATCHES[1], edgecolor="white", height=0.6, lw=0.3
        )
        x += seen + said
    axes.barh(y, context - x, left=x, facecolor="white", edgecolor=GREY, height=0.6, lw=0.5)
