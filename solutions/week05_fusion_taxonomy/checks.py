"""Public checks of this week. They run in your notebook, on your objects, and say what they saw.

Each takes a subject (yours) and a source of random inputs. They catch the common slips; hidden checks, run
when the notebook is graded, look closer. Boolean masks say True = keep.

    from course_lib.checks import check
    check("raw_patches", raw_patches)
"""

import torch

from course_lib.checking import (
    claim,
    door,
    expect,
    expect_different,
    expect_equal,
    expect_finite,
    expect_keys,
    expect_raises,
    expect_same,
    expect_tensor,
    load_or_fail,
    stand_in,
)

# -- influence_matrix --------------------------------------------------------------------------------------

# (begin influence_matrix)
#
#
#
# (end influence_matrix)

# -- raw_patches -------------------------------------------------------------------------------------------

# (begin raw_patches)
#
#
#
# (end raw_patches)

# -- early_fusion ------------------------------------------------------------------------------------------

# (begin early_fusion)
#
#
#
# (end early_fusion)

# -- late_fusion -------------------------------------------------------------------------------------------

# (begin late_fusion)
#
#
#
# (end late_fusion)

# -- stream_fusion -----------------------------------------------------------------------------------------

# (begin stream_fusion)
#
#
#
# (end stream_fusion)

# -- thumbnail ---------------------------------------------------------------------------------------------

# (begin thumbnail)
#
#
#
# (end thumbnail)

# -- prefix_lm_mask ----------------------------------------------------------------------------------------

# (begin prefix_lm_mask)
#
#
#
# (end prefix_lm_mask)

# -- answer_cost -------------------------------------------------------------------------------------------

COSTS = ("context", "prefill", "writing", "cache_bytes")


def _drawn_sizes(draw, **fixed):
    """Sizes of a small decoder, and a row of (visual, text, written)."""
    sizes = {
        "n_words": draw.integer(150, 250),
        "d_model": 2 * draw.integer(25, 35) + 1,
        "n_layers": 2 * draw.integer(3, 6) + 1,
        "n_heads": 6,
        "n_kv_heads": 2,
        "d_head": 2 * draw.integer(6, 9),
        "d_hidden": draw.integer(80, 120),
    }
    return {**sizes, **fixed}, (draw.integer(31, 60), draw.integer(13, 30), draw.integer(4, 12))


def _costs(subject, sizes, *args, **kwargs):
    """The four costs, each a whole number."""
    look = "Return a dict with context, prefill, writing and cache_bytes, all whole numbers."
    found = expect_keys(subject(stand_in("decoder_sizes", **sizes), *args, **kwargs), COSTS, look=look)
    for key in COSTS:
        expect(type(found[key]) is int, seen=f"{key} is {type(found[key]).__name__}", look=look)
    return found


@claim("answer_cost", "In the stream a visual token costs what a word costs; beside it, it takes no place.")
def a_visual_token_is_a_word_in_the_stream_only(subject, draw):
    sizes, (visual, text, written) = _drawn_sizes(draw)
    one, other = (
        _costs(subject, sizes, visual, text, written),
        _costs(subject, sizes, 9, visual + text - 9, written),
    )
    for key in COSTS:
        seen = f"{key} changes when {visual - 9} visual tokens are words instead"
        expect(
            one[key] == other[key], seen=seen, look="What does a layer know about where a token comes from?"
        )
    expect_equal(
        one["context"],
        visual + text + written,
        name=f"context of ({visual}, {text}, {written})",
        look="What stands in the stream when the answer ends?",
    )
    few, many = (
        _costs(subject, sizes, v, text, written, cross_every=2, d_visual=33) for v in (visual, 7 * visual)
    )
    look = "Blocks read the picture beside the stream. What is left in the stream? What still grows with it?"
    expect_equal(few["context"], text + written, name=f"context of ({visual}, {text}, {written})", look=look)
    for key in COSTS[1:]:
        seen = f"{key} does not grow with the picture"
        expect(few[key] < many[key], seen=seen, look=look)


@claim("answer_cost", "The cache knows the heads of keys and the bytes of a number, and no query head.")
def the_cache_knows_heads_of_keys(subject, draw):
    sizes, row = _drawn_sizes(draw)
    cached = [
        _costs(subject, {**sizes, **change}, *row, **more)["cache_bytes"]
        for change, more in (
            ({}, {}),
            ({"n_heads": 12}, {}),
            ({"n_kv_heads": 6}, {}),
            ({}, {"bytes_per_number": 4}),
        )
    ]
    look = "Several query heads may share one head of keys and values. Which of the two numbers is cached?"
    seen = [f"{n / max(1, cached[0]):.2f}" for n in cached[1:]]
    told = (
        f"{seen[0]} times the bytes for twice the query heads, {seen[1]} times for three times the key heads"
    )
    expect(cached[1] == cached[0] and cached[2] == 3 * cached[0], seen=told, look=look)
    expect(
        cached[3] == 2 * cached[0],
        seen=f"{seen[2]} times the bytes when a number has four instead of two",
        look="Is bytes_per_number used, once?",
    )


@claim("answer_cost", "The width of the picture costs something once, before the first word is written.")
def a_pictures_keys_are_made_once(subject, draw):
    sizes, row = _drawn_sizes(draw)
    narrow, wide = (_costs(subject, sizes, *row, cross_every=2, d_visual=width) for width in (21, 42))
    look = "Keys and values of the picture are made from d_visual numbers a token. When, and how often?"
    expect(wide["prefill"] > narrow["prefill"], seen="the prefill does not know d_visual", look=look)
    expect(wide["writing"] == narrow["writing"], seen="the writing grows with d_visual", look=look)
    expect_raises(
        lambda: subject(stand_in("decoder_sizes", **sizes), *row, cross_every=2),
        "ValueError",
        mentions=["d_visual"],
        look="Blocks and no d_visual: say so in a ValueError.",
    )


# -- my_fusion ---------------------------------------------------------------------------------------------

# (begin my_fusion)
#
#
#
# (end my_fusion)

# -----------------------------------------------------------------------------------------------------------

check = door(globals())
