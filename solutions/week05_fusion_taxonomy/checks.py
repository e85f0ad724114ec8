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

# (begin answer_cost)
#
#
#
# (end answer_cost)

# -- my_fusion ---------------------------------------------------------------------------------------------

TOKENS, PARAMETERS, FLOPS = 6, 120_000, 1_500_000  # the budget: in the stream, trained, and for one picture


@claim("my_fusion", "A picture becomes at most 6 tokens, each as wide as a word.")
def tokens_stay_within_the_budget(subject, draw):
    built = subject.build()
    for b in (3, 1):
        seen = expect_tensor(built(draw.normal(b, 36, 128)), look="forward returns the tokens, nothing else.")
        shape = tuple(seen.shape)
        look = "The language model reads (b, n, 128): pictures, tokens, width of a word. Which axis is which?"
        expect(len(shape) == 3 and (shape[0], shape[2]) == (b, 128), seen=f"shape {shape}", look=look)
        look = f"At most {TOKENS} tokens may stand in the stream. Where do 36 patches become fewer?"
        expect(1 <= shape[1] <= TOKENS, seen=f"{shape[1]} tokens", look=look)


@claim("my_fusion", "It has parameters that can be trained, and at most 120,000 of them.")
def parameters_stay_within_the_budget(subject, draw):
    sizes = {name: one.numel() for name, one in subject.build().parameters().items()}
    look = "Parameters belong to __init__, in layers or as nn.Parameter. Where are they made?"
    expect(bool(sizes), seen="no parameter at all", look=look)
    largest = max(sizes, key=sizes.__getitem__)
    expect(
        sum(sizes.values()) <= PARAMETERS,
        seen=f"{sum(sizes.values()):,} parameters, {sizes[largest]:,} of them in {largest}",
        look=f"{PARAMETERS:,} are allowed. What is wide on both of its sides, and on which could it be narrow?",
    )


@claim("my_fusion", "One picture costs it at most 1,500,000 FLOPs.")
def flops_stay_within_the_budget(subject, draw):
    b, wide, narrow = draw.integer(5, 9), draw.integer(10, 20), draw.integer(30, 50)
    known = subject.build_stand_in("linear_read", d_text=wide, d_visual=narrow)
    least = 2 * b * (wide * wide + narrow * wide)  # its two linear maps
    seen = known.flops(draw.normal(b, 1, wide), draw.normal(b, 3, narrow))
    look = "This is about a part of the course's own. Does your notebook change torch, or its counter?"
    expect(seen >= least, seen=f"the counter finds {seen:,} FLOPs where there are {least:,}", look=look)
    cost = subject.build().flops(draw.normal(1, 36, 128))
    expect(
        cost <= FLOPS,
        seen=f"{cost:,} FLOPs",
        look=f"{FLOPS:,} are allowed; a map of n tokens costs 2 x n x in x out. Which map runs over all 36 "
        "patches, and does it have to be so wide, or to come before there are fewer?",
    )


# -----------------------------------------------------------------------------------------------------------

check = door(globals())
