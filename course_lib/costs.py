"""What a forward pass costs, counted by hand: plain functions of plain sizes.

Counted are multiplications and additions in matrix products, two FLOPs for each pair, as torch's own
counter does; norms, activations and softmax are left out, which are well under a hundredth. A causal mask
saves nothing here: every pair of tokens is counted, as a plain kernel computes it.

Axes in this file:
    t  tokens of one row      v  visual tokens      q  latents      d  width      e  width of all heads
    w  words

Source: counted from the layers; tests hold every function to `torch.utils.flop_counter`.
"""

from course_lib.errors import ShapeError
from course_lib.language import LanguageSizes

# LLaMA-7B, and Vicuna-7B: what LLaVA-1.5 and IDEFICS-9B speak with. Touvron et al. 2023, table 2.
SEVEN_B = LanguageSizes(n_words=32_000, d_model=4096, n_layers=32, n_heads=32, d_hidden=11_008)


def decoder_flops(sizes: LanguageSizes, tokens: int) -> dict[str, int]:
    """FLOPs of one forward pass of a Llama-like decoder over one row, by part.

    Args:
        sizes: of the decoder.
        tokens: of the row, whatever they are: a visual token in the stream costs what a word costs.

    Returns:
        "projections" (queries, keys, values, output), "scores" (every token with every token, and the mixing
        of values), "feed-forward", "words" (the logits), and "total".

    Raises:
        ShapeError: fewer than 0 tokens.
    """
    _counts(tokens=tokens)
    t, d = tokens, sizes.d_model
    return _summed(
        {
            "projections": sizes.n_layers * 4 * matrix_flops(t, d, d),
            "scores": sizes.n_layers * 2 * matrix_flops(t, d, t),
            "feed-forward": sizes.n_layers * 3 * matrix_flops(t, d, sizes.d_hidden),
            "words": matrix_flops(t, d, sizes.n_words),
        }
    )


def cross_attention_flops(
    text: int, visual: int, d_text: int, d_visual: int, n_heads: int, d_head: int
) -> dict[str, int]:
    """FLOPs of one masked cross-attention, in which text tokens ask and visual tokens answer.

    Args:
        text, visual: how many of each.
        d_text, d_visual, n_heads, d_head: as in the layer.

    Returns:
        "text side" (queries and output), "keys and values", "scores", and "total". The last two before the
        total are in proportion to `visual`; the first knows nothing of it.

    Raises:
        ShapeError: fewer than 0 tokens.
    """
    _counts(text=text, visual=visual)
    inner = n_heads * d_head
    return _summed(
        {
            "text side": 2 * matrix_flops(text, d_text, inner),
            "keys and values": 2 * matrix_flops(visual, d_visual, inner),
            "scores": 2 * matrix_flops(text, inner, visual),
        }
    )


def resampler_flops(
    visual: int, n_latents: int, d_model: int, n_layers: int, n_heads: int, d_head: int
) -> dict[str, int]:
    """FLOPs of a perceiver resampler on one picture; keys and values come from visual tokens and latents.

    Returns:
        "latents' side" (queries and output), "keys and values", "scores", "feed-forward", and "total".

    Raises:
        ShapeError: fewer than 0 tokens.
    """
    _counts(visual=visual, n_latents=n_latents)
    inner, source = n_heads * d_head, visual + n_latents
    return _summed(
        {
            "latents' side": n_layers * 2 * matrix_flops(n_latents, d_model, inner),
            "keys and values": n_layers * 2 * matrix_flops(source, d_model, inner),
            "scores": n_layers * 2 * matrix_flops(n_latents, inner, source),
            "feed-forward": n_layers * 2 * matrix_flops(n_latents, d_model, 4 * d_model),
        }
    )


def score_ratio(many: int, few: int, text: int) -> float:
    """How many times larger the square of scores is with `many` visual tokens in the stream than with `few`.

    Raises:
        ShapeError: fewer than 0 tokens, or none at all beside the few.
    """
    _counts(many=many, few=few, text=text)
    if few + text == 0:
        raise ShapeError("few=0 and text=0 leave a row of 0 tokens, which has no scores; give at least one.")
    return ((many + text) / (few + text)) ** 2


def matrix_flops(rows: int, shared: int, columns: int) -> int:
    """FLOPs of (rows, shared) times (shared, columns)."""
    return 2 * rows * shared * columns


def _summed(parts: dict[str, int]) -> dict[str, int]:
    return {**parts, "total": sum(parts.values())}


def _counts(**given: int) -> None:
    for name, value in given.items():
        if value < 0:
            raise ShapeError(f"{name}={value} is no number of tokens; give 0 or more.")
