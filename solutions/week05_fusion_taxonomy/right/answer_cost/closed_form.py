"""Right: no loop; the written words' scores are an arithmetic series, and every cost is so much a token."""

from math import ceil


def answer_cost(sizes, visual, text, written, cross_every=0, d_visual=0, bytes_per_number=2):
    if min(visual, written, cross_every) < 0 or text < 1 or bytes_per_number < 1:
        raise ValueError(f"too small: {visual=}, {text=}, {written=}, {cross_every=}, {bytes_per_number=}")
    if cross_every > 0 >= d_visual:
        raise ValueError(f"blocks need a d_visual, and it is {d_visual}")
    d, e, h, kv, layers = sizes.d_model, sizes.d_head, sizes.n_heads, sizes.n_kv_heads, sizes.n_layers
    n_blocks = 0 if cross_every == 0 else ceil(layers / cross_every)
    start = text if cross_every else visual + text
    asks = 4 * d * h * e + 2 * d * sizes.d_hidden * (2 + sizes.gated)
    token = layers * (asks + 4 * d * kv * e) + n_blocks * (asks + 4 * h * e * visual)
    pair, word = 4 * layers * h * e, 2 * d * sizes.n_words
    picture = n_blocks * 4 * d_visual * kv * e * visual
    looked = written * start + written * (written + 1) // 2
    return dict(
        prefill=start * token + start * start * pair + word + picture,
        writing=written * (token + word) + looked * pair,
        context=start + written,
        cache_bytes=2 * bytes_per_number * kv * e * (layers * (start + written) + n_blocks * visual),
    )
