"""What the course's modules cost: each beside its like in transformers, with the same weights and inputs.

`course bench --only modules` prints the table and writes build/bench/modules.json. A pair is a function in
`PAIRS`: it builds the two sides at one size. Their outputs are compared before anything is timed, and a pair
that differs by more than 1e-5 of the output's size is an error and no measurement.

A round times one side and then the other, in turn; a ratio is ours through theirs of the same round, and the
median over the rounds is what the table shows. On a CPU the clock is the CPU time of this process on one
thread, so that what else the machine does counts for little; on a GPU it is the time until the GPU is done.

    forward    without gradients
    step       forward and backward, to the weights and to the inputs

The names of the attention are transformers': "eager" is its plain matrix products, "sdpa" is torch's fused
kernel, which ours uses. Idefics' resampler has one way only, written out with einsum.

The Q-Former has two rows: queries that read a picture, as in BLIP-2's second stage, and queries beside text
under the mask of writing, as in the first. Both sides get their masks ready-made.

On a machine that has little else, `python -m grading.bench_modules cuda` needs torch, transformers, einops
and jaxtyping alone, and prints JSON.
"""

import importlib.util
import json
import math
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from course_lib.blip2_masks import qformer_mask
from course_lib.blip2_qformer import QFormer
from course_lib.gated_block import gated_block
from course_lib.resampler import PerceiverResampler
from grading.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from grading.layout import Layout

ALLOWED = 1e-5  # largest difference of two outputs, through the largest number among them
ROUNDS = 25
FEWEST = 5  # rounds of what takes longer than its share of the time
SHARE_S = 4.0  # for the rounds of one row
SHORTEST_S = 0.03  # of one timing: a side that takes less is called several times
Row = dict[str, Any]
Run = Callable[[], Tensor]


@dataclass(frozen=True)
class Sizes:
    """How large a pair is built; the letters are course_lib's."""

    name: str
    b: int  # rows of the batch
    t: int  # text tokens
    v: int  # visual tokens of a picture
    q: int  # latents, which the text reads
    d: int  # width of both streams
    h: int  # heads
    hidden: int  # of a block's feed-forward
    pictures: int = 2  # of a row of text


SIZES = (
    Sizes("micro", b=16, t=24, v=36, q=16, d=128, h=4, hidden=344),
    Sizes("base", b=4, t=64, v=196, q=32, d=768, h=12, hidden=2048),
    Sizes("large", b=2, t=256, v=257, q=64, d=1280, h=16, hidden=3456),
)


@dataclass
class Pair:
    """Two modules that compute the same, and how each is called.

    Args:
        ours, theirs: calls without arguments that give the output.
        parts: everything with parameters in either.
        inputs: what gets a gradient besides them.
    """

    ours: Run
    theirs: Run
    parts: tuple[nn.Module, ...]
    inputs: tuple[Tensor, ...]


def resamplers(sizes: Sizes, attention: str, device: str) -> Pair:
    """Two layers of reading a picture."""
    from transformers.models.idefics.perceiver import IdeficsPerceiverResampler

    width = sizes.d // sizes.h
    with torch.device(device):
        theirs = IdeficsPerceiverResampler(_idefics(sizes, attention), sizes.d, 2, sizes.h, width, sizes.q)
        ours = PerceiverResampler(sizes.d, sizes.q, 2, sizes.h)
        visual = torch.randn(sizes.b, sizes.v, sizes.d, requires_grad=True)
    _same_weights(ours, theirs)
    return Pair(lambda: ours(visual), lambda: theirs(visual), (ours, theirs), (visual,))


def gated_blocks(sizes: Sizes, attention: str, device: str) -> Pair:
    """A row of text with two pictures: text before them, text behind each. The gates are open."""
    from transformers.models.idefics.modeling_idefics import IdeficsGatedCrossAttentionLayer

    seen = sizes.pictures * sizes.q
    with torch.device(device):
        theirs = IdeficsGatedCrossAttentionLayer(_idefics(sizes, attention), layer_idx=0)
        ours = gated_block(sizes.d, sizes.d, sizes.h, sizes.hidden)
        text = torch.randn(sizes.b, sizes.t, sizes.d, requires_grad=True)
        visual = torch.randn(sizes.b, seen, sizes.d, requires_grad=True)
        latest = torch.arange(sizes.t) * (sizes.pictures + 1) // sizes.t  # 0: no picture yet
        own = torch.arange(seen) // sizes.q + 1
    mask = (latest[:, None] == own).expand(sizes.b, -1, -1)  # True = keep
    # Idefics makes these once for all its layers; making them is no part of what is timed.
    added = torch.where(mask[:, None], 0.0, torch.finfo(torch.float32).min)
    gate = mask.any(dim=-1).float()
    _same_weights(ours, theirs)

    def their_call() -> Tensor:
        out: Tensor = theirs(
            text, image_hidden_states=visual, image_attention_mask=added, cross_attention_gate=gate
        )
        return out

    return Pair(lambda: ours(text, visual, mask), their_call, (ours, theirs), (text, visual))


def qformers(sizes: Sizes, attention: str, device: str, text: bool = False) -> Pair:
    """Two layers, of which the first reads the picture; with text, a third of it is padding in every row."""
    from transformers import Blip2QFormerConfig, Blip2QFormerModel

    config = Blip2QFormerConfig(  # type: ignore[call-arg]
        hidden_size=sizes.d,
        num_hidden_layers=2,
        num_attention_heads=sizes.h,
        intermediate_size=sizes.hidden,
        encoder_hidden_size=sizes.d,
        cross_attention_frequency=2,
        use_qformer_text_input=text,
        attn_implementation=attention,
    )
    length = sizes.t if text else 0
    with torch.device(device):
        theirs = Blip2QFormerModel(config).eval()  # type: ignore[no-untyped-call]
        ours = QFormer(sizes.d, sizes.d, 2, sizes.h, sizes.hidden, text=text).eval()  # no dropout: one output
        tokens = torch.randn(sizes.b, sizes.q + length, sizes.d, requires_grad=True)
        visual = torch.randn(sizes.b, sizes.v, sizes.d, requires_grad=True)
        real = (torch.arange(length) < 2 * length / 3).expand(sizes.b, -1)  # True = keep
    sees = qformer_mask("write", sizes.q, real) if text else None
    handed = None if sees is None else sees[:, None]  # a mask of four axes goes in as it is
    if handed is not None and attention == "eager":
        handed = torch.where(handed, 0.0, torch.finfo(torch.float32).min)
    _same_weights(ours, theirs)

    def their_call() -> Tensor:
        out: Tensor = theirs(
            query_embeds=tokens, query_length=sizes.q, attention_mask=handed, encoder_hidden_states=visual
        ).last_hidden_state
        return out

    return Pair(lambda: ours(tokens, sizes.q, sees, visual), their_call, (ours, theirs), (tokens, visual))


# What is compared, its pair, and the ways of attending that the other side knows. One line more is one more.
PAIRS: dict[str, tuple[Callable[[Sizes, str, str], Pair], tuple[str, ...]]] = {
    "resampler": (resamplers, ("eager",)),
    "gated block": (gated_blocks, ("eager", "sdpa")),
    "q-former": (qformers, ("eager", "sdpa")),
    "q-former, text": (partial(qformers, text=True), ("eager", "sdpa")),
}


def _idefics(sizes: Sizes, attention: str) -> Any:
    from transformers import IdeficsConfig

    config = IdeficsConfig(
        hidden_size=sizes.d,
        intermediate_size=sizes.hidden,
        num_attention_heads=sizes.h,
        vision_config={"embed_dim": sizes.d},
        perceiver_config={"use_resampler": True},
        rope_parameters={"rope_theta": 10000.0, "rope_type": "default"},
    )
    config._attn_implementation = attention
    return config


@torch.no_grad()
def _same_weights(ours: nn.Module, theirs: nn.Module) -> None:
    """Every parameter drawn anew: closed gates and norms at 1 would hide half of a difference."""
    for parameter in theirs.parameters():
        fan = parameter.shape[-1] if parameter.ndim > 1 else 4
        parameter.normal_(std=fan**-0.5)
    ours.load_state_dict(theirs.state_dict(), strict=True)


# -- measuring -------------------------------------------------------------------------------------------


def measure(
    device: str = "cpu",
    rounds: int = ROUNDS,
    sizes: tuple[Sizes, ...] = SIZES,
    say: Callable[[str], None] = lambda line: None,
) -> list[Row]:
    """Every pair at every size: one row each for the forward pass and for a whole step.

    Args:
        device: a torch device. On a CPU, torch keeps to one thread from here on; on a GPU, TF32 is off, so
            that the two sides can be held to 1e-5.
        rounds: the most timings of each side; fewer, down to five, of what takes long.

    Raises:
        ValueError: the two sides do not compute the same.
    """
    torch.backends.cuda.matmul.allow_tf32 = False
    if device == "cpu":
        torch.set_num_threads(1)
    rows: list[Row] = []
    for name, (build, ways) in PAIRS.items():
        for size in sizes:
            for attention in ways:
                torch.manual_seed(0)
                pair = build(size, attention, device)
                apart = _apart(pair)
                if not apart <= ALLOWED:
                    raise ValueError(
                        f"{name}, {size.name}, {attention}: outputs differ by {apart:.1e} of their size, and "
                        f"{ALLOWED:.0e} is allowed; what is not equal is not timed."
                    )
                about = {"module": name, "size": size.name, "their_attention": attention, "apart": apart}
                for what, run in (("forward", _forward), ("step", _step)):
                    rows.append({**about, "what": what, **_timed(pair, run, device, rounds)})
                    say(f"{name}, {size.name}, {attention}, {what}: {rows[-1]['ratio']:.2f}")
    return rows


@torch.no_grad()
def _apart(pair: Pair) -> float:
    ours, theirs = pair.ours(), pair.theirs()
    return float((ours - theirs).abs().max() / theirs.abs().max())


def _forward(side: Run, pair: Pair) -> None:
    with torch.no_grad():
        side()


def _step(side: Run, pair: Pair) -> None:
    for part in pair.parts:
        part.zero_grad(set_to_none=True)
    for tensor in pair.inputs:
        tensor.grad = None
    side().sum().backward()  # type: ignore[no-untyped-call]


def _timed(pair: Pair, run: Callable[[Run, Pair], None], device: str, rounds: int) -> Row:
    clock = time.process_time if device == "cpu" else time.perf_counter

    def seconds(side: Run, calls: int) -> float:
        _wait(device)
        began = clock()
        for _ in range(calls):
            run(side, pair)
        _wait(device)
        return (clock() - began) / calls

    sides = (pair.ours, pair.theirs)
    for side in sides:
        seconds(side, 3)  # what is paid once
    calls = max(1, math.ceil(SHORTEST_S / min(seconds(side, 2) for side in sides)))
    took: tuple[list[float], list[float]] = ([], [])
    began = clock()
    for number in range(rounds):
        if number >= FEWEST and clock() - began > SHARE_S:
            break
        for which in (0, 1) if number % 2 else (1, 0):
            took[which].append(seconds(sides[which], calls))
    ratios = [ours / theirs for ours, theirs in zip(*took, strict=True)]
    return {
        "ours_ms": 1000 * statistics.median(took[0]),
        "theirs_ms": 1000 * statistics.median(took[1]),
        "ratio": statistics.median(ratios),
        "ratio_least": min(ratios),
        "ratio_most": max(ratios),
        "calls": calls,
        "rounds": len(ratios),
    }


def _wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def where(device: str) -> Row:
    """What the numbers were measured on."""
    import transformers

    chip = torch.cuda.get_device_name() if device.startswith("cuda") else platform.machine()
    return {
        "device": device,
        "chip": chip,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "dtype": "float32",
    }


# -- for people ------------------------------------------------------------------------------------------


def run(layout: "Layout", out: "Console", device: str = "cpu", rounds: int = ROUNDS) -> Path:
    """Measure, print the table, write build/bench/modules.json; for another device modules_DEVICE.json.

    Raises:
        UsageError: there is no such device here, or no transformers.
    """
    if importlib.util.find_spec("transformers") is None:
        raise UsageError("the modules are measured beside transformers' own: `pip install transformers`.")
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as problem:
        sentence = str(problem).splitlines()[0].rstrip(".")
        raise UsageError(f"--device {device} cannot be used here: {sentence}; cpu can.") from None
    began = time.perf_counter()
    rows = measure(device, rounds, say=lambda line: out.print(line, highlight=False))
    found = {**where(device), "seconds": round(time.perf_counter() - began), "rows": rows}
    path = layout.bench / ("modules.json" if device == "cpu" else f"modules_{device.replace(':', '_')}.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    os.replace(part, path)
    out.print(drawn(found))
    out.print(f"{found['seconds']} s. Written to {path}.", highlight=False)
    return path


def drawn(found: Row) -> Any:
    """The table; a ratio below 1 says that ours is quicker."""
    from rich.table import Table

    title = (
        f"Ours beside transformers {found['transformers']}: the same weights, the same output; "
        f"{found['dtype']}, {found['chip']}, {found['threads']} thread(s)"
    )
    table = Table(title=title, title_justify="left")
    for heading in ("module", "size", "their attention"):
        table.add_column(heading, no_wrap=True)
    for heading in ("", "ours, ms", "theirs, ms", "ours / theirs", "rounds from .. to", "outputs apart"):
        table.add_column(heading, justify="right")
    for row in found["rows"]:
        table.add_row(
            *(row["module"], row["size"], row["their_attention"], row["what"]),
            *(f"{row['ours_ms']:.2f}", f"{row['theirs_ms']:.2f}", f"{row['ratio']:.2f}"),
            *(f"{row['ratio_least']:.2f} .. {row['ratio_most']:.2f}", f"{row['apart']:.0e}"),
        )
    return table


if __name__ == "__main__":
    place = sys.argv[1] if len(sys.argv) > 1 else "cpu"
    lines = measure(place, say=lambda line: print(line, file=sys.stderr, flush=True))
    print(json.dumps({**where(place), "rows": lines}, indent=2))
