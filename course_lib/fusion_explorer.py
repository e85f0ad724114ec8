"""Choose where a picture meets the words; see the flow, drawn to scale, and what it costs.

    fusion_explorer(answer_cost)           nine ways to meet, with their bills

With ipywidgets in a live kernel there are controls; without, one figure that is complete. The width of the
stack of layers is the number of tokens in the stream: twice as wide is twice as many.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from textwrap import fill
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from course_lib import cost_model as cost
from course_lib.drawing import FROZEN, TRAINED, arrow, bar, blank, box, meeting
from course_lib.exhibits import BLUE, GREY, ORANGE, Exhibit, Table, exhibit
from course_lib.explorers import explorer
from course_lib.fusion_bills import SIZES, WAYS, AnswerCost, Bill, Way, bill, flops, mib, millions

DRAWN = 6  # layers in a drawing, for all there are


def fusion_explorer(
    answer_cost: AnswerCost, sizes: Mapping[str, cost.DecoderSizes] = SIZES, live: bool | None = None
) -> Any:
    """Choose where a picture meets the words; see the flow drawn to scale, and its bill beside the others'.

    Args:
        answer_cost: the exercise's function: (sizes, visual, text, written, cross_every, d_visual,
            bytes_per_number) -> context, prefill, writing, cache_bytes.
        sizes: language models by name.
        live: True for controls, False for the figure of all nine; None decides by the machine.
    """
    every = "all nine"

    def draw(
        way: str = every, model: str = next(iter(sizes)), side: int = 336, text: int = 50, written: int = 20
    ) -> Exhibit:
        bills: dict[str, Bill | str] = {}
        for name in WAYS:
            try:
                bills[name] = bill(answer_cost, sizes[model], name, side, text, written)
            except ValueError as problem:
                bills[name] = str(problem)
        setting = _Setting(model, sizes[model].n_layers, side, text, written)
        return _all(bills, setting) if way == every else _one(way, bills, setting)

    def controls(widgets: Any) -> dict[str, Any]:
        wide = {"style": {"description_width": "initial"}}
        return {
            "way": widgets.Dropdown(options=[every, *WAYS], value="MLP", description="how they meet", **wide),
            "model": widgets.ToggleButtons(options=list(sizes), description="language model", **wide),
            "side": widgets.SelectionSlider(
                options=[224, 336, 350, 448, 672, 896],
                value=336,
                description="picture side in pixels",
                **wide,
            ),
            "text": widgets.IntSlider(
                value=50, min=10, max=1000, step=10, description="tokens of the question", **wide
            ),
            "written": widgets.IntSlider(
                value=20, min=0, max=400, step=10, description="tokens of the answer", **wide
            ),
        }

    return explorer(draw, controls, live)


@dataclass(frozen=True)
class _Setting:
    model: str
    n_layers: int
    side: int
    text: int
    written: int

    def __str__(self) -> str:
        return (
            f"A picture of {self.side} x {self.side} pixels, {self.text} tokens of question and "
            f"{self.written} of answer, at {self.model}"
        )


def _all(bills: Mapping[str, Bill | str], setting: _Setting) -> Exhibit:
    figure = Figure(figsize=(12.4, 13.2))
    for k, (name, found) in enumerate(bills.items()):
        axes = figure.add_axes((0.005 + 0.333 * (k % 3), 0.665 - 0.316 * (k // 3), 0.322, 0.30))
        _flow(axes, name, found, setting, _scale(bills))
    axes = figure.add_axes((0.0, 0.0, 1.0, 0.03))
    _legend(axes)
    return exhibit(figure, f"Nine diagrams. {_said(bills, setting)}", _table(bills))


def _one(way: str, bills: Mapping[str, Bill | str], setting: _Setting) -> Exhibit:
    figure = Figure(figsize=(10.5, 5.0))
    _flow(figure.add_axes((0.0, 0.07, 0.52, 0.92)), way, bills[way], setting, _scale(bills))
    axes = figure.add_axes((0.55, 0.07, 0.45, 0.92))
    blank(axes, 10, 10)
    found = bills[way]
    if isinstance(found, Bill):
        rows: dict[str, tuple[Callable[[Bill], int], Callable[[int], str]]] = {
            "tokens in the stream at the end": (lambda one: one.context, "{:,}".format),
            "FLOPs of eye and bridge": (lambda one: one.before, flops),
            "FLOPs to read picture and question": (lambda one: one.prefill, flops),
            "FLOPs to write the answer": (lambda one: one.writing, flops),
            "bytes of keys and values": (lambda one: one.cache_bytes, mib),
            "trained parameters": (lambda one: one.trained, millions),
        }
        for k, (label, (of, said)) in enumerate(rows.items()):
            others = [of(one) for one in bills.values() if isinstance(one, Bill)]
            _strip(axes, 8.9 - 1.6 * k, label, of(found), others, said(of(found)))
    axes.text(0, 9.75, "grey marks: the other ways", fontsize=8, color="#555555")
    _legend(figure.add_axes((0.0, 0.0, 1.0, 0.07)))
    return exhibit(figure, f"One diagram, {way}. {_said({way: found}, setting)}", _table(bills))


def _strip(axes: Axes, y: float, label: str, value: int, others: list[int], said: str) -> None:
    most = max(*others, 1)
    axes.text(0, y, label, fontsize=8.5, va="center")
    axes.text(10, y, said, fontsize=9, weight="bold", va="center", ha="right")
    axes.add_patch(Rectangle((0, y - 0.85), 10, 0.42, facecolor="#F3F3F3", edgecolor="none"))
    axes.add_patch(Rectangle((0, y - 0.85), 10 * value / most, 0.42, facecolor=BLUE, edgecolor="none"))
    for other in others:
        x = 10 * other / most
        axes.plot([x, x], [y - 0.92, y - 0.36], color=GREY, lw=1.6)


def _scale(bills: Mapping[str, Bill | str]) -> float:
    """Units of a drawing for one token."""
    most = max([one.width for one in bills.values() if isinstance(one, Bill)], default=1)
    return 8.3 / max(most, 1)


def _flow(axes: Axes, way: str, found: Bill | str, setting: _Setting, scale: float) -> None:
    """Picture below, then eye and bridge, the stream, the layers as wide as the stream, the head on top."""
    blank(axes, 10, 9.4)
    how = WAYS[way]
    axes.text(0.1, 9.1, way, fontsize=11.5, weight="bold", va="center")
    axes.text(9.9, 9.1, f"{how.where} · {how.what}", fontsize=8, va="center", ha="right")
    if isinstance(found, str):
        axes.text(5, 5, fill(found, 44), fontsize=9, ha="center", va="center")
        return
    right, low, high = 9.5, 3.2, 7.0
    words = (found.context - found.front) * scale
    front, left = found.front * scale, right - found.context * scale
    trained = TRAINED if how.trains == "everything" else FROZEN
    # the layers, as wide as the stream
    step = (high - low) / DRAWN
    for k in range(DRAWN):
        box(axes, left, low + k * step + 0.22, right - left, step - 0.26, "", trained, rounding=0.05)
    label = f"{setting.n_layers} layers"
    axes.text(right + 0.15, (low + high) / 2, label, fontsize=7.5, va="center", rotation=90)
    # the stream
    bar(axes, right - words, 2.55, words, 0.42, "words")
    if found.front:
        bar(axes, left, 2.55, front, 0.42, "picture")
        axes.text(left - 0.1, 2.76, f"{found.front:,}", fontsize=8.5, ha="right", va="center", color=BLUE)
    axes.text(right + 0.1, 2.76, f"{found.context - found.front:,}", fontsize=8.5, va="center")
    _pipeline(axes, how)
    _who(axes, how)
    _meets(axes, found, how, (left, right - words, right, low, step), scale)
    axes.text(
        5,
        0.02,
        f"reads {flops(found.prefill)} · keeps {mib(found.cache_bytes)} · trains {millions(found.trained)}",
        fontsize=8.5,
        ha="center",
        va="bottom",
    )


def _pipeline(axes: Axes, how: Way) -> None:
    y, h = 0.75, 1.05
    axes.add_patch(Rectangle((0.1, y), 1.05, h, facecolor="white", edgecolor="black", lw=1))
    for k in range(1, 4):
        axes.plot([0.1 + 1.05 * k / 4] * 2, [y, y + h], color=GREY, lw=0.6)
        axes.plot([0.1, 1.15], [y + h * k / 4] * 2, color=GREY, lw=0.6)
    raw = how.what == "raw patches"
    box(
        axes, 1.75, y, 1.75, h, "no\nencoder" if raw else "encoder", "white" if raw else FROZEN, 8, dashed=raw
    )
    arrow(axes, 1.18, y + h / 2, 1.72, y + h / 2, head=8)
    if how.bridge:
        frozen = how.bridge == "mean"
        box(axes, 4.1, y, 2.5, h, how.bridge, "white" if frozen else TRAINED, 8)
        arrow(axes, 3.52, y + h / 2, 4.07, y + h / 2, head=8)


def _who(axes: Axes, how: Way) -> None:
    """A small table of the stream: which row may see which column. Filled = may see."""
    if how.sees == "apart" or how.where == "between layers":
        return
    kinds, names = "ppqqaa", {"p": "picture", "q": "question", "a": "answer"}
    size, x0, y0 = 0.22, 8.18, 2.1
    for i in range(6):
        for j in range(6):
            sees = j <= i or (how.sees == "prefix-LM" and "a" not in kinds[i] + kinds[j])
            colour = {"p": BLUE, "q": ORANGE, "a": GREY}[kinds[j]] if sees else "white"
            place = (x0 + size * j, y0 - size * (i + 1))
            axes.add_patch(Rectangle(place, size, size, facecolor=colour, edgecolor="white", lw=0.4))
    for k, name in enumerate(names.values()):
        axes.text(x0 - 0.08, y0 - size * (2 * k + 1), name, fontsize=6.5, va="center", ha="right")
    axes.add_patch(Rectangle((x0, y0 - 6 * size), 6 * size, 6 * size, fill=False, edgecolor="black", lw=0.7))
    axes.text(x0 + 6 * size, y0 - 6 * size - 0.06, "row may see column", fontsize=6, va="top", ha="right")


def _meets(
    axes: Axes, found: Bill, how: Way, places: tuple[float, float, float, float, float], scale: float
) -> None:
    left, border, right, low, step = places
    top = 7.55
    if how.sees == "apart":
        box(axes, 4.4, top + 0.1, right - 4.4, 0.75, "head on two vectors", TRAINED, 8)
        middle = (left + right) / 2
        for x, colour in ((5.35, BLUE), (middle, ORANGE)):
            axes.add_patch(
                Rectangle((x - 0.13, 7.05), 0.26, 0.26, facecolor=colour, edgecolor="black", lw=0.8)
            )
        arrow(axes, 5.35, 1.83, 5.35, 7.05, head=8)
        axes.text(5.1, 7.18, "one vector", fontsize=7.5, va="center", ha="right")
        axes.text(middle - 0.25, 7.18, "one vector", fontsize=7.5, va="center", ha="right")
        meeting(axes, (4.4 + right) / 2, top + 0.1)
        axes.text(5.1, 4.2, "each side is read\nwithout the other", fontsize=7.5, ha="right")
        return
    colour = TRAINED if how.trains == "everything" else FROZEN
    box(axes, left, 7.22, right - left, 0.36, "", colour, rounding=0.05)
    axes.text(right, 7.66, "next word", fontsize=7.5, ha="right", va="bottom")
    if found.front:
        arrow(axes, 5.35, 1.83, left + found.front * scale / 2, 2.53, head=8, shrink=0)
        meeting(axes, border, 2.76)
    if found.beside:
        width = found.beside * scale
        start, post = left - 0.75 - width, left - 0.4
        bar(axes, start, 5.0, width, 0.42, "beside")
        label = f"{found.beside:,} beside the stream"
        axes.text(start + width / 2, 5.5, label, fontsize=8.5, ha="center", va="bottom", color=BLUE)
        arrow(axes, 2.62, 1.83, 2.62, 4.98, head=8)
        heights = [low + k * step + 0.07 for k in range(0, DRAWN, 2)]
        axes.plot([start + width, post], [5.21, 5.21], color="black", lw=1.2)
        axes.plot([post, post], [min(5.21, *heights), max(5.21, *heights)], color="black", lw=1.2)
        for y in heights:
            arrow(axes, post, y, border, y, head=7, width=1.2, shrink=0)
            strip = Rectangle(
                (border, y - 0.09), right - border, 0.18, facecolor=TRAINED, edgecolor="#B36B00"
            )
            axes.add_patch(strip)
            meeting(axes, border, y, 6)


def _legend(axes: Axes) -> None:
    blank(axes, 100, 3)
    x = 1.0
    entries: tuple[tuple[Callable[[float], None], str], ...] = (
        (lambda x: bar(axes, x, 1, 3, 1, "picture"), "picture's tokens in the stream"),
        (lambda x: bar(axes, x, 1, 3, 1, "beside"), "beside it"),
        (lambda x: bar(axes, x, 1, 3, 1, "words"), "words"),
        (lambda x: box(axes, x, 1, 3, 1, "", TRAINED, rounding=0.05), "trained"),
        (lambda x: box(axes, x, 1, 3, 1, "", FROZEN, rounding=0.05), "frozen"),
        (lambda x: meeting(axes, x + 2.2, 1.5, 7), "they meet"),
    )
    for draw, name in entries:
        draw(x)
        axes.text(x + 3.7, 1.45, name, fontsize=8, va="center")
        x += 6.5 + 0.68 * len(name)


def _said(bills: Mapping[str, Bill | str], setting: _Setting) -> str:
    said = [f"{setting}."]
    for name, one in bills.items():
        how = WAYS[name]
        if isinstance(one, str):
            said.append(f"{name}: {one}")
            continue
        enters = f"{one.front} visual tokens in the stream"
        if one.beside:
            enters += f" and {one.beside} beside it"
        said.append(
            f"{name}, {how.where}, {how.what}: {enters}, {one.context} tokens at the end, "
            f"{flops(one.prefill)} to read, {mib(one.cache_bytes)} kept, {millions(one.trained)} trained: "
            f"{how.trains}."
        )
    return " ".join(said)


def _table(bills: Mapping[str, Bill | str]) -> Table:
    header = ["way", "where", "what", "in the stream", "beside it", "context at the end"]
    header += ["FLOPs before", "FLOPs to read", "FLOPs to write", "cache bytes", "trained parameters"]
    rows: list[list[object]] = []
    for name, one in bills.items():
        how = WAYS[name]
        if isinstance(one, str):
            rows.append([name, how.where, how.what, "does not divide", *[""] * 7])
            continue
        counts = [one.front, one.beside, one.context, one.before, one.prefill, one.writing]
        rows.append([name, how.where, how.what, *counts, one.cache_bytes, one.trained])
    return Table(header, rows)
