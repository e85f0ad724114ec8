"""What an answer costs, drawn: three places to meet, one language model, two lengths of text.

    bills(answer_cost)    an `Exhibit` of four panels: FLOPs before the first word, and the cache at the end
    three_bridges(...)    the numbers behind it

The counting is the learner's; this file knows the three bridges and draws.

Axes in this file:
    v  visual tokens that the encoder hands on
"""

from collections.abc import Callable, Sequence

from matplotlib.figure import Figure

from course_lib.cost_model import linear_flops, mlp_flops
from course_lib.costs import resampler_flops
from course_lib.exhibits import GREY, MARKERS, PALETTE, Exhibit, Table, exhibit
from course_lib.real_sizes import LLAMA_7B

AnswerCost = Callable[..., dict[str, int]]
D_VISUAL, LATENTS = 1280, 64
PLACES = ("in the stream", "64 latents in the stream", "beside the stream")
VISUAL = (64, 144, 256, 576, 1024, 2304, 4096)
WRITTEN = 30


def three_bridges(answer_cost: AnswerCost, visual: int, text: int) -> dict[str, tuple[int, int]]:
    """(FLOPs before the first word, bytes of cache at the end) of a 7B model, by the place where they meet.

    The bridge is counted: a perceptron of two layers, a resampler of six with 64 latents, none. The encoder,
    the same for all three, is not. Beside the stream stand gated blocks before every fourth layer.
    """
    projected = mlp_flops(visual, D_VISUAL, LLAMA_7B.d_model)
    resampled = resampler_flops(visual, LATENTS, D_VISUAL, n_layers=6, n_heads=16, d_head=96)["total"]
    resampled += linear_flops(LATENTS, D_VISUAL, LLAMA_7B.d_model)
    found = (
        (answer_cost(LLAMA_7B, visual, text, WRITTEN), projected),
        (answer_cost(LLAMA_7B, LATENTS, text, WRITTEN), resampled),
        (answer_cost(LLAMA_7B, visual, text, WRITTEN, cross_every=4, d_visual=D_VISUAL), 0),
    )
    return {
        place: (cost["prefill"] + bridge, cost["cache_bytes"])
        for place, (cost, bridge) in zip(PLACES, found, strict=True)
    }


def bills(
    answer_cost: AnswerCost, texts: Sequence[int] = (50, 512), visual: Sequence[int] = VISUAL
) -> Exhibit:
    """Two rows of panels, FLOPs and cache, and a column for each length of text; all axes are logarithmic."""
    figure = Figure(figsize=(9.2, 6.4))
    rows: list[list[object]] = []
    found = {(t, v): three_bridges(answer_cost, v, t) for t in texts for v in visual}
    units = ((1e12, "TFLOP before the first word"), (2.0**20, "MiB of cache at the end"))
    for column, text in enumerate(texts):
        for row, (unit, name) in enumerate(units):
            axes = figure.add_subplot(2, len(texts), row * len(texts) + column + 1)
            for k, place in enumerate(PLACES):
                values = [found[text, v][place][row] / unit for v in visual]
                axes.plot(visual, values, color=PALETTE[k], marker=MARKERS[k], markersize=4, label=place)
            axes.set_xscale("log")
            axes.set_yscale("log")
            axes.set_xticks(visual, [str(v) for v in visual])
            axes.minorticks_off()
            axes.set_ylim(*_span(found, row, unit))
            axes.grid(color=GREY, alpha=0.25)
            axes.set_title(f"{text} tokens of text", fontsize=9)
            axes.set_ylabel(name if column == 0 else "")
            axes.set_xlabel("visual tokens from the encoder" if row == 1 else "")
            if row == column == 0:
                axes.legend(frameon=False, fontsize=8)
        for v in visual:
            for place in PLACES:
                flops, held = found[text, v][place]
                rows.append([text, v, place, f"{flops / 1e12:.2f}", f"{held / 2**20:.0f}"])
    figure.tight_layout()
    few, many = found[texts[0], visual[0]], found[texts[0], visual[-1]]
    told = "; ".join(
        f"{place}: {few[place][0] / 1e12:.2f} to {many[place][0] / 1e12:.2f} TFLOP and "
        f"{few[place][1] / 2**20:.0f} to {many[place][1] / 2**20:.0f} MiB"
        for place in PLACES
    )
    alt = (
        f"Cost of one answer of {WRITTEN} tokens of a 7B model against visual tokens. With {texts[0]} tokens "
        f"of text, from {visual[0]} to {visual[-1]} visual tokens, {told}."
    )
    return exhibit(
        figure, alt, Table(["text", "visual tokens", "they meet", "TFLOP before", "MiB cached"], rows)
    )


def _span(
    found: dict[tuple[int, int], dict[str, tuple[int, int]]], row: int, unit: float
) -> tuple[float, float]:
    """One scale for the panels of a row, so that they can be compared."""
    values = [costs[place][row] / unit for costs in found.values() for place in PLACES]
    return min(values) / 1.5, max(values) * 1.5
