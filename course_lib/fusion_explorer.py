"""Two things to turn: where a picture meets the words and what that costs, and how many tokens a picture is.

    fusion_explorer(answer_cost)           nine ways to meet, drawn to scale, with their bills
    resolution_explorer(picture_tokens)    width and height, whole or in tiles, and the share of the context

What the language model pays for an answer, the learner's own function counts: nothing here knows it. Eye and
bridge are counted by `course_lib.cost_model`. With ipywidgets in a live kernel there are controls; without,
one figure that is complete.

In the first figure the width of the stack of layers is the number of tokens in the stream: twice as wide is
twice as many.

Axes in this file:
    v  visual tokens as the encoder makes them      t  tokens of text      d  width
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from textwrap import fill
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from course_lib import cost_model as cost
from course_lib.costs import resampler_flops
from course_lib.drawing import FROZEN, TRAINED, arrow, bar, blank, box, meeting
from course_lib.errors import ShapeError
from course_lib.exhibits import BLUE, GREY, ORANGE, Exhibit, Table, exhibit
from course_lib.explorers import explorer
from course_lib.real_sizes import CLIP_L, LLAMA_3_8B, LLAMA_7B

AnswerCost = Callable[..., dict[str, int]]

SIZES: Mapping[str, cost.DecoderSizes] = {
    "7B": LLAMA_7B,
    "8B, 8 key-value heads": LLAMA_3_8B,
    "0.5B": cost.DecoderSizes(151_936, 896, 24, 14, 2, 64, 4864, tied=True),  # Qwen2-0.5B, arXiv:2407.10671
}
PATCH, EYE = CLIP_L.patch, CLIP_L.d_model  # the encoder's, whatever the picture's size
RAW = 28  # side of a raw patch in pixels; Fuyu's have 30
THUMBNAIL = 8  # rows and columns of the hybrid's
LATENTS, DEPTH, HEADS, HEAD = 64, 6, 16, 96  # a resampler as IDEFICS has it
EVERY = 4  # a block before every fourth layer
VECTOR, ANSWERS = 768, 3129  # two vectors, compared in CLIP's width; answers as in VQAv2's usual list
DRAWN = 6  # layers in a drawing, for all there are


# -- the ways, and what each costs -------------------------------------------------------------------------


@dataclass(frozen=True)
class Way:
    """One way to meet: where, what arrives, what stands between, what trains."""

    where: str
    what: str
    bridge: str
    trains: str
    sees: str = "causal"


WAYS: dict[str, Way] = {
    "raw patches": Way("at the input", "raw patches", "one matrix", "everything"),
    "linear": Way("at the input", "features", "one matrix", "the projector"),
    "MLP": Way("at the input", "features", "two matrices", "the projector"),
    "merge": Way("at the input", "features", "2 x 2 merged,\ntwo matrices", "the projector"),
    "resampler": Way("at the input", "features", "resampler", "the resampler"),
    "prefix-LM": Way("at the input", "features", "one matrix", "the projector", "prefix-LM"),
    "cross-attention": Way("between layers", "features", "", "the blocks"),
    "hybrid": Way(
        "at the input and between layers", "features", "thumbnail,\ntwo matrices", "projector, blocks"
    ),
    "two vectors": Way("at the output", "features", "mean", "both maps, the head", "apart"),
}


@dataclass(frozen=True)
class Bill:
    """What one picture, one question and one answer cost.

    `front` and `beside` count visual tokens in the stream and beside it; `before` counts the FLOPs of eye and
    bridge. The rest is what answer_cost said.
    """

    front: int
    beside: int
    before: int
    context: int
    prefill: int
    writing: int
    cache_bytes: int
    trained: int

    @property
    def width(self) -> int:
        """Tokens that have to be drawn."""
        return self.context + self.beside


def bill(
    answer_cost: AnswerCost, sizes: cost.DecoderSizes, way: str, side: int, text: int, written: int
) -> Bill:
    """The bill of one way at these sizes.

    Args:
        answer_cost: the exercise's function.
        sizes: of the language model.
        way: one of `WAYS`.
        side: of the square picture in pixels.
        text, written: tokens of the question and of the answer.

    Raises:
        ShapeError: patches, blocks or a thumbnail do not tile the picture.
    """
    d = sizes.d_model
    if way == "raw patches":
        front = cost.picture_tokens(side, side, RAW, newlines=True)
        numbers = cost.RGB * RAW**2
        trained = cost.decoder_parameters(sizes)["total"] + cost.linear_parameters(numbers, d) + d
        before = cost.linear_flops(cost.picture_tokens(side, side, RAW), numbers, d)
        return Bill(front, 0, before, **answer_cost(sizes, front, text, written), trained=trained)
    v = cost.picture_tokens(side, side, PATCH)
    eye = cost.encoder_flops(replace(CLIP_L, image=side))
    if way in ("linear", "prefix-LM"):
        between, trained, front = cost.linear_flops(v, EYE, d), cost.linear_parameters(EYE, d), v
    elif way == "MLP":
        between, trained, front = cost.mlp_flops(v, EYE, d), cost.mlp_parameters(EYE, d), v
    elif way == "merge":
        front = cost.picture_tokens(side, side, PATCH, merge=2)
        between, trained = cost.mlp_flops(front, 4 * EYE, d), cost.mlp_parameters(4 * EYE, d)
    elif way == "resampler":
        front = LATENTS
        between = resampler_flops(v, LATENTS, EYE, DEPTH, HEADS, HEAD)["total"]
        between += cost.linear_flops(LATENTS, EYE, d)
        trained = cost.resampler_parameters(EYE, LATENTS, DEPTH, HEADS, HEAD) + cost.linear_parameters(EYE, d)
    elif way == "cross-attention":
        found = answer_cost(sizes, v, text + 1, written, cross_every=EVERY, d_visual=EYE)  # 1: the tag
        return Bill(0, v, eye, **found, trained=_blocks(sizes))
    elif way == "hybrid":
        return _hybrid(answer_cost, sizes, v, text, written, eye)
    else:
        # A head picks an answer: nothing is written, so nothing need be remembered.
        found = {**answer_cost(sizes, 0, text, 0), "cache_bytes": 0}
        trained = cost.linear_parameters(EYE, VECTOR) + cost.linear_parameters(d, VECTOR)
        trained += cost.linear_parameters(3 * VECTOR, VECTOR) + cost.linear_parameters(VECTOR, ANSWERS)
        return Bill(0, 0, eye, **found, trained=trained)
    return Bill(front, 0, eye + between, **answer_cost(sizes, front, text, written), trained=trained)


def _blocks(sizes: cost.DecoderSizes) -> int:
    return len(range(0, sizes.n_layers, EVERY)) * cost.gated_parameters(sizes, EYE)["total"]


def _hybrid(
    answer_cost: AnswerCost, sizes: cost.DecoderSizes, v: int, text: int, written: int, eye: int
) -> Bill:
    """A thumbnail in the stream, and what blocks add to the words alone, none to the thumbnail."""
    grid, front = round(v**0.5), THUMBNAIL**2
    if grid % THUMBNAIL:
        near = max(1, round(grid / THUMBNAIL)) * THUMBNAIL
        raise ShapeError(
            f"a thumbnail of {THUMBNAIL} x {THUMBNAIL} does not tile {grid} x {grid} patches; the nearest "
            f"grid that it tiles is {near} x {near}, a side of {near * PATCH} pixels."
        )
    stream = answer_cost(sizes, front, text, written)
    blocks = answer_cost(sizes, v, text, written, cross_every=EVERY, d_visual=EYE)
    words = answer_cost(sizes, 0, text, written)
    found = {key: stream[key] + blocks[key] - words[key] for key in stream}
    between, trained = cost.mlp_flops(front, EYE, sizes.d_model), cost.mlp_parameters(EYE, sizes.d_model)
    return Bill(front, v, eye + between, **found, trained=trained + _blocks(sizes))


# -- where they meet ---------------------------------------------------------------------------------------


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


def flops(count: int) -> str:
    """In TFLOP or GFLOP."""
    return f"{count / 1e12:.2f} TFLOP" if count >= 1e11 else f"{count / 1e9:.1f} GFLOP"


def mib(count: int) -> str:
    """In MiB."""
    return f"{count / 2**20:,.0f} MiB"


def millions(count: int) -> str:
    """In millions, or thousand millions."""
    return f"{count / 1e9:.2f} B" if count >= 1e9 else f"{count / 1e6:.1f} M"


# -- how many tokens a picture is --------------------------------------------------------------------------


def resolution_explorer(picture_tokens: Callable[..., int], live: bool | None = None) -> Any:
    """A picture of any width and height, whole or in tiles: its tokens, and its share of the context.

    Args:
        picture_tokens: (width, height, patch, merge, tile, max_tiles) -> visual tokens, as
            `course_lib.cost_model.picture_tokens`; a thumbnail is among them where there are several tiles.
        live: True for controls, False for the figure alone; None decides by the machine.
    """

    def draw(
        width: int = 1008,
        height: int = 672,
        tiling: str = "in tiles",
        merge: int = 1,
        context: int = 8192,
        max_tiles: int = 6,
    ) -> Exhibit:
        tile = TILE if tiling == "in tiles" else None
        return _resolution(picture_tokens, width, height, tile, merge, context, max_tiles)

    def controls(widgets: Any) -> dict[str, Any]:
        wide = {"style": {"description_width": "initial"}}
        steps = {"min": 112, "max": 1344, "step": 14}
        return {
            "width": widgets.IntSlider(value=1008, description="width in pixels", **steps, **wide),
            "height": widgets.IntSlider(value=672, description="height in pixels", **steps, **wide),
            "tiling": widgets.ToggleButtons(
                options=["whole", "in tiles"], value="in tiles", description="read", **wide
            ),
            "merge": widgets.ToggleButtons(options=[1, 2, 4], description="merge", **wide),
            "context": widgets.SelectionSlider(
                options=[2048, 4096, 8192, 32768, 131072],
                value=8192,
                description="context in tokens",
                **wide,
            ),
            "max_tiles": widgets.IntSlider(value=6, min=1, max=16, description="tiles at most", **wide),
        }

    return explorer(draw, controls, live)


TILE = CLIP_L.image  # what the encoder reads at once


def tiles_of(width: int, height: int, tile: int | None) -> tuple[int, int]:
    """Columns and rows of tiles; one of each where there is no tiling."""
    return (1, 1) if tile is None else (-(-width // tile), -(-height // tile))


def _resolution(
    picture_tokens: Callable[..., int],
    width: int,
    height: int,
    tile: int | None,
    merge: int,
    context: int,
    max_tiles: int,
) -> Exhibit:
    chosen = ("whole" if tile is None else "in tiles", merge)
    rows: list[list[object]] = []
    counted: dict[tuple[str, int], int | str] = {}
    for how, side in (("whole", None), ("in tiles", TILE)):
        for factor in sorted({1, 2, merge}):
            try:
                found: int | str = picture_tokens(
                    width, height, PATCH, merge=factor, tile=side, max_tiles=max_tiles
                )
            except ValueError as problem:
                found = str(problem)
            counted[how, factor] = found
            across, down = tiles_of(width, height, side)
            read = across * down + (across * down > 1)
            if isinstance(found, str):
                rows.append([how, factor, read, "does not fit", "", ""])
            else:
                rows.append([how, factor, read, found, f"{found / context:.1%}", context // found])
    figure = Figure(figsize=(10.5, 4.4 + 0.2 * max(0, len(counted) - 4)))
    _picture(figure.add_axes((0.0, 0.02, 0.42, 0.9)), width, height, tile, merge, counted[chosen])
    _shares(figure.add_axes((0.56, 0.16, 0.43, 0.72)), counted, chosen, context)
    where = "whole" if tile is None else f"in tiles of {TILE} x {TILE}"
    table = Table(["read", "merge", "pictures for the encoder", "tokens", "share", "pictures that fit"], rows)
    return exhibit(figure, _resolution_said(width, height, where, counted, chosen, context), table)


def _resolution_said(
    width: int,
    height: int,
    where: str,
    counted: Mapping[tuple[str, int], int | str],
    chosen: tuple[str, int],
    context: int,
) -> str:
    across, down = tiles_of(width, height, None if chosen[0] == "whole" else TILE)
    said = [
        f"A picture of {width} x {height} pixels, read {where}, blocks of {chosen[1]} x {chosen[1]} merged."
    ]
    if across * down > 1:
        said.append(f"{across} x {down} tiles lie over it, and a thumbnail stands beside it.")
    if chosen[0] == "in tiles" and (across * TILE, down * TILE) != (width, height):
        said.append(
            f"The tiles are {across * TILE} x {down * TILE} pixels; what is beyond the picture is padding."
        )
    for (how, factor), found in counted.items():
        name = f"{how}, merge {factor}"
        if isinstance(found, str):
            said.append(f"{name}: {found}")
        else:
            said.append(f"{name}: {found} tokens, {found / context:.1%} of a context of {context}.")
    return " ".join(said)


def _picture(axes: Axes, width: int, height: int, tile: int | None, merge: int, found: int | str) -> None:
    """The picture, its tiles or its patches, and the thumbnail."""
    across, down = tiles_of(width, height, tile)
    side = TILE if tile is None else tile
    full = (width, height) if tile is None else (across * side, down * side)
    many = tile is not None and across * down > 1
    beyond = side + 90 if many else 0
    axes.set_xlim(-20, full[0] + beyond + 20)
    axes.set_ylim(full[1] + 60, -90)
    axes.set_aspect("equal")
    axes.set_axis_off()
    axes.add_patch(Rectangle((0, 0), *full, facecolor="white", edgecolor=GREY, hatch="..", lw=0.5))
    axes.add_patch(Rectangle((0, 0), width, height, facecolor="#DCEBF7", edgecolor="black", lw=1))
    cell = PATCH * merge
    if not isinstance(found, str):
        for x in range(0, full[0] + 1, cell):
            axes.plot([x, x], [0, full[1]], color="white", lw=0.5)
        for y in range(0, full[1] + 1, cell):
            axes.plot([0, full[0]], [y, y], color="white", lw=0.5)
    for i in range(across if tile is not None else 0):
        for j in range(down):
            axes.add_patch(Rectangle((i * side, j * side), side, side, fill=False, edgecolor=BLUE, lw=2))
            name = str(j * across + i + 1)
            axes.text((i + 0.5) * side, (j + 0.5) * side, name, fontsize=11, ha="center", va="center")
    if many:
        left = full[0] + 90
        axes.add_patch(Rectangle((left, 0), side, side, facecolor="#DCEBF7", edgecolor=BLUE, lw=2))
        axes.text(left + side / 2, side / 2, "all of it,\nsmall", fontsize=8, ha="center", va="center")
    if full != (width, height):
        axes.text(0, full[1] + 12, "dots: padding, which costs tokens too", fontsize=8, va="top")
    tokens = "" if isinstance(found, str) else f": {found:,} tokens"
    axes.text(0, -30, f"{width} x {height} pixels{tokens}", fontsize=10, va="bottom")


def _shares(
    axes: Axes, counted: Mapping[tuple[str, int], int | str], chosen: tuple[str, int], context: int
) -> None:
    for y, (key, found) in enumerate(counted.items()):
        if isinstance(found, str):
            axes.text(context * 0.01, y, fill(found, 58), fontsize=7, va="center")
            continue
        inside = min(found, context)
        axes.barh(y, context, facecolor="white", edgecolor=GREY, height=0.55, lw=0.6)
        hatch, colour = ("//", BLUE) if key == chosen else ("", "#9CC3E0")
        axes.barh(y, inside, color=colour, hatch=hatch, edgecolor="white", height=0.55, lw=0)
        said = f" {found:,}: {found / context:.1%}" + (" (too many)" if found > context else "")
        if inside < 0.6 * context:
            axes.text(inside, y, said, fontsize=8.5, va="center")
        else:
            axes.text(0, y, said, fontsize=8.5, va="center", color="white", weight="bold")
    labels = [f"{how}, merge {factor}" + (" ◂" if (how, factor) == chosen else "") for how, factor in counted]
    axes.set_yticks(range(len(counted)), labels, fontsize=8.5)
    axes.invert_yaxis()
    axes.set_xlim(0, context)
    axes.set_xlabel(f"tokens of a context of {context:,}", fontsize=8.5)
    axes.tick_params(axis="x", labelsize=8)
    for place in ("top", "right", "left"):
        axes.spines[place].set_visible(False)
    axes.set_title("share of the context that one picture takes", fontsize=10, loc="left")
