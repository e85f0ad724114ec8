"""Right: nothing is counted by hand; the products run on the meta device, and torch counts them."""

import torch
from torch.utils.flop_counter import FlopCounterMode


def answer_cost(sizes, visual, text, written, cross_every=0, d_visual=0, bytes_per_number=2):
    for name, value, least in zip(
        ["visual", "text", "written", "cross_every", "bytes_per_number", "d_visual"],
        [visual, text, written, cross_every, bytes_per_number, d_visual],
        [0, 1, 0, 0, 1, 1 if cross_every else 0],
        strict=True,
    ):
        if value < least:
            raise ValueError(f"{name} is {value}, and must be at least {least}")
    d, heads, e = sizes.d_model, sizes.n_heads, sizes.d_head

    def of(*shape):
        return torch.empty(shape, device="meta")

    def into(x, width):
        return x @ of(x.shape[-1], width)

    def look(x, keys, values):
        q = into(x, heads * e).reshape(-1, heads, e).transpose(0, 1)
        share = heads // sizes.n_kv_heads
        k, v = (y.reshape(-1, sizes.n_kv_heads, e).transpose(0, 1) for y in (keys, values))
        k, v = (y.repeat_interleave(share, dim=0) for y in (k, v))
        return into((q @ k.transpose(1, 2) @ v).transpose(0, 1).reshape(-1, heads * e), d)

    def think(x):
        hidden = into(x, sizes.d_hidden)
        if sizes.gated:
            hidden = hidden * into(x, sizes.d_hidden)
        return into(hidden, d)

    width = sizes.n_kv_heads * e
    stream = {i: (of(0, width), of(0, width)) for i in range(sizes.n_layers)}
    beside = {}

    def one_pass(t):
        x = of(t, d)
        for i in stream:
            if cross_every and i % cross_every == 0:
                if i not in beside:
                    beside[i] = into(of(visual, d_visual), width), into(of(visual, d_visual), width)
                x = x + look(x, *beside[i])
                x = x + think(x)
            stream[i] = tuple(torch.cat([old, into(x, width)]) for old in stream[i])
            x = x + look(x, *stream[i])
            x = x + think(x)
        into(x[-1:], sizes.n_words)

    spent = []
    for tokens in [text if cross_every else visual + text, *[1] * written]:
        with FlopCounterMode(display=False) as counter:
            one_pass(tokens)
        spent.append(counter.get_total_flops())
    kept = sum(y.numel() for pair in [*stream.values(), *beside.values()] for y in pair)
    return {
        "context": len(stream[0][0]),
        "prefill": spent[0],
        "writing": sum(spent[1:]),
        "cache_bytes": kept * bytes_per_number,
    }
