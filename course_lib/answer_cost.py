"""What one answer costs a language model: reading the picture and the question, writing, and remembering.

A picture meets the text in one of two places. In the *stream*, every layer reads each visual token like a
word. Between layers, it stands beside the stream: a gated cross-attention before every n-th layer reads it,
and its keys and values are made once.

    prefill   everything there is so far goes through in one pass, and the last token says the first word
    writing   each written token goes through alone, and looks at what is cached; the last one says "end"
    cache     keys and values of all tokens of the stream in every layer, and of the picture in every block

FLOPs are counted as in `course_lib.costs`: two for a multiplication and an addition in matrix products, and
every pair of tokens in the prefill, because a causal mask saves a plain kernel nothing. A block has the
decoder's own heads and feed-forward, as in IDEFICS and in Llama-3.2-Vision.

Axes in this file:
    t  tokens of one pass      s  tokens looked at      v  visual tokens      d  width

Source: counted from the layers; tests hold every number to torch's counter and to transformers' caches.
"""

from course_lib.cost_model import DecoderSizes
from course_lib.costs import matrix_flops
from course_lib.errors import ShapeError


def answer_cost(
    sizes: DecoderSizes,
    visual: int,
    text: int,
    written: int,
    cross_every: int = 0,
    d_visual: int = 0,
    bytes_per_number: int = 2,
) -> dict[str, int]:
    """Count what it costs to read a picture and a question, and to write an answer.

    Args:
        sizes: of the language model.
        visual: visual tokens, once encoder and bridge have made them; those two are not counted here.
        text: tokens of the question, the picture's tag among them; at least 1.
        written: tokens of the answer. Each goes through the model once, the last one too.
        cross_every: 0: the visual tokens stand in the stream. n: they do not; before layers 0, n, 2n, ... a
            block reads them: an attention with the decoder's heads, whose keys and values are made from
            `d_visual`, and a feed-forward like the decoder's.
        d_visual: width of a visual token beside the stream; needed where there are blocks.
        bytes_per_number: of the cache; 2 in half precision.

    Returns:
        context: tokens in the stream when the answer ends.
        prefill: FLOPs of one pass over all that is there before the answer; logits of its last token alone.
        writing: FLOPs of the written tokens, one by one, with a cache; logits of each.
        cache_bytes: keys and values when the answer ends.

    Raises:
        ShapeError: a number is too small, or d_visual is missing.
    """
    for name, value, least in (
        ("visual", visual, 0),
        ("text", text, 1),
        ("written", written, 0),
        ("cross_every", cross_every, 0),
        ("bytes_per_number", bytes_per_number, 1),
    ):
        if value < least:
            raise ShapeError(f"{name}={value} is too small; give {least} or more.")
    if cross_every and d_visual < 1:
        raise ShapeError(
            f"cross_every={cross_every} puts blocks between the layers, and d_visual={d_visual}; give the "
            "width of the visual tokens that they read, 1 or more."
        )
    read = text + (0 if cross_every else visual)
    blocks = -(-sizes.n_layers // cross_every) if cross_every else 0
    kv = sizes.n_kv_heads * sizes.d_head

    def one_pass(t: int, s: int) -> int:
        """`t` new tokens look at `s`, themselves among them; the last one speaks."""
        layers = sizes.n_layers * _layer_flops(sizes, t, s)
        return (
            layers + blocks * _block_flops(sizes, t, visual) + matrix_flops(1, sizes.d_model, sizes.n_words)
        )

    picture = blocks * 2 * matrix_flops(visual, d_visual, kv)  # keys and values, made once
    return {
        "context": read + written,
        "prefill": one_pass(read, read) + picture,
        "writing": sum(one_pass(1, read + k) for k in range(1, written + 1)),
        "cache_bytes": bytes_per_number * 2 * kv * (sizes.n_layers * (read + written) + blocks * visual),
    }


def _layer_flops(sizes: DecoderSizes, t: int, s: int) -> int:
    """A layer of the decoder: the new tokens' projections, their scores with `s`, their feed-forward."""
    keys_and_values = 2 * matrix_flops(t, sizes.d_model, sizes.n_kv_heads * sizes.d_head)
    return _block_flops(sizes, t, s) + keys_and_values


def _block_flops(sizes: DecoderSizes, t: int, s: int) -> int:
    """The part of either that grows with the text: queries, output, scores with `s`, feed-forward."""
    inner = sizes.n_heads * sizes.d_head
    projections = 2 * matrix_flops(t, sizes.d_model, inner)
    scores = 2 * matrix_flops(t, inner, s)  # queries with keys, then the mixing of values
    feed_forward = (3 if sizes.gated else 2) * matrix_flops(t, sizes.d_model, sizes.d_hidden)
    return projections + scores + feed_forward
