"""Right: every matrix product is written down as (rows, shared, columns), layer by layer and word by word."""


def answer_cost(sizes, visual, text, written, cross_every=0, d_visual=0, bytes_per_number=2):
    given = {"visual": visual, "written": written, "cross_every": cross_every, "text": text - 1}
    for name, value in {**given, "bytes_per_number": bytes_per_number - 1}.items():
        if value < 0:
            shift = name in ("text", "bytes_per_number")
            raise ValueError(f"{name} = {value + shift}; give {int(shift)} or more")
    has_block = [cross_every > 0 and i % cross_every == 0 for i in range(sizes.n_layers)]
    if any(has_block) and not d_visual > 0:
        raise ValueError(f"d_visual = {d_visual}; the blocks have to know how wide a visual token is")
    d, queries, keys = sizes.d_model, sizes.n_heads * sizes.d_head, sizes.n_kv_heads * sizes.d_head
    cache = {"stream": 0, "picture": 0}

    def feed_forward(t):
        wide = [(t, d, sizes.d_hidden)] * (2 if sizes.gated else 1)
        return [*wide, (t, sizes.d_hidden, d)]

    def attention(t, s):
        return [(t, d, queries), (t, queries, s), (t, s, queries), (t, queries, d)]

    def go_through(t):
        """Products of one pass over t new tokens."""
        cache["stream"] += t
        products = [(1, d, sizes.n_words)]
        for blocked in has_block:
            if blocked:
                products += attention(t, visual) + feed_forward(t)
                if cache["picture"] == 0:
                    products += [(visual, d_visual, keys)] * 2
            products += [(t, d, keys)] * 2 + attention(t, cache["stream"]) + feed_forward(t)
        cache["picture"] = visual * sum(has_block)
        return sum(2 * rows * shared * columns for rows, shared, columns in products)

    prefill = go_through(text if any(has_block) else visual + text)
    writing = sum(go_through(1) for _ in range(written))
    kept = cache["stream"] * sizes.n_layers + cache["picture"]
    return {
        "context": cache["stream"],
        "prefill": prefill,
        "writing": writing,
        "cache_bytes": kept * keys * 2 * bytes_per_number,
    }
