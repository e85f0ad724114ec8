"""Nine ways to meet at full size, and what each costs. `fusion_explorer` draws them.

    bill(answer_cost, SIZES["7B"], "merge", side=336, text=50, written=20)     what one way costs

What the language model pays for an answer, the learner's own function counts: nothing here knows it. Eye and
bridge are counted by `course_lib.cost_model`.

Axes in this file:
    v  visual tokens as the encoder makes them      t  tokens of text      d  width
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from course_lib import cost_model as cost
from course_lib.costs import resampler_flops
from course_lib.errors import ShapeError
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


def flops(count: int) -> str:
    """In TFLOP or GFLOP."""
    return f"{count / 1e12:.2f} TFLOP" if count >= 1e11 else f"{count / 1e9:.1f} GFLOP"


def mib(count: int) -> str:
    """In MiB."""
    return f"{count / 2**20:,.0f} MiB"


def millions(count: int) -> str:
    """In millions, or thousand millions."""
    return f"{count / 1e9:.2f} B" if count >= 1e9 else f"{count / 1e6:.1f} M"
