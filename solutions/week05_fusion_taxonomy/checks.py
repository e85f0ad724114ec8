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

LATE = {"d_visual": 11, "d_text": 5, "d_shared": 6, "n_answers": 8}
LATE_PARAMETERS = [
    f"{part}.{kind}" for part in ("head.0", "head.2", "picture", "question") for kind in ("bias", "weight")
]


def late_with_weights(subject, draw):
    """One with drawn weights, in eval mode."""
    built = subject.build(**LATE)
    expect_equal(
        sorted(built.parameters()),
        LATE_PARAMETERS,
        name="the list of parameters",
        look="Two linear maps, picture and question, and a head of linear, GELU, linear in an nn.Sequential.",
    )
    load_or_fail(built, draw.weights_like(built.parameters(), std=0.5))
    built.eval()
    return built


@claim("late_fusion", "A row of logits for each pair, from parts of the names that are stated.", weight=0.5)
def a_row_of_logits_for_each_pair(subject, draw):
    late = late_with_weights(subject, draw)
    for b, v, t in ((3, 9, 4), (1, 2, 7)):
        visual, text = draw.normal(b, v, 11), draw.normal(b, t, 5)
        expect_tensor(
            late(visual, text), (b, 8), look="8 possible answers: one logit for each, for each pair."
        )


@claim("late_fusion", "A token that a mask hides changes nothing; a token that it keeps does.")
def a_hidden_token_changes_no_logit(subject, draw):
    late = late_with_weights(subject, draw)
    visual, text = draw.normal(3, 9, 11), draw.normal(3, 4, 5)
    keep, real = draw.keep_mask(3, 9), draw.keep_mask(3, 4)
    before = expect_tensor(late(visual, text, keep, real), (3, 8))
    look = "True means keep. Do both sides use their own mask, in the sum and in the count?"
    for mask, changes in ((~keep, False), (keep, True)):
        other = torch.where(mask[..., None], visual + draw.normal(3, 9, 11), visual)
        after = late(other, text, keep, real)
        (expect_different if changes else expect_same)(after, before, look=f"visual: {look}")
    for mask, changes in ((~real, False), (real, True)):
        other = torch.where(mask[..., None], text + draw.normal(3, 4, 5), text)
        after = late(visual, other, keep, real)
        (expect_different if changes else expect_same)(after, before, look=f"text: {look}")


@claim("late_fusion", "Nine tokens that are all alike say what one of them says.", weight=0.5)
def tokens_all_alike_say_what_one_says(subject, draw):
    late = late_with_weights(subject, draw)
    visual, text = draw.normal(3, 1, 11), draw.normal(3, 1, 5)
    once = expect_tensor(late(visual, text), (3, 8))
    look = "The mean of nine equal tokens is the token. Do you sum, or divide by another number?"
    expect_same(late(visual.repeat(1, 9, 1), text.repeat(1, 4, 1)), once, look=look)
    expect_different(late(2 * visual, text), once, look="Another token, other logits.")


# -- stream_fusion -----------------------------------------------------------------------------------------

# (begin stream_fusion)
#
#
#
# (end stream_fusion)

# -- thumbnail ---------------------------------------------------------------------------------------------


@claim("thumbnail", "A picture of blocks of one value each becomes those values, row by row.")
def blocks_become_their_values(subject, draw):
    for side, high, wide in ((2, 3, 4), (3, 2, 1)):
        values = draw.normal(2, side, side, 5)
        visual = values.repeat_interleave(high, dim=1).repeat_interleave(wide, dim=2).flatten(1, 2)
        grid = (side * high, side * wide)
        seen = expect_tensor(
            subject(visual, grid, side),
            (2, side * side, 5),
            look=f"side={side}: {side} x {side} tokens, of cells of {high} x {wide} patches.",
        )
        expect_same(
            seen,
            values.flatten(1, 2),
            look=f"Every cell of this grid of {grid[0]} x {grid[1]} holds one value in all its patches. Are "
            "patches and cells both read row by row?",
        )


@claim("thumbnail", "One cell over everything is the mean of all patches.", weight=0.5)
def one_cell_is_the_mean_of_all(subject, draw):
    visual = draw.normal(2, 15, 4)
    seen = expect_tensor(subject(visual, (3, 5), 1), (2, 1, 4), look="side=1 leaves one token.")
    expect_same(seen, visual.mean(dim=1, keepdim=True), look="Is it the mean, and of all patches?")


@claim("thumbnail", "What does not fit is refused with the numbers, and with the nearest side that does.")
def what_does_not_fit_is_refused(subject, draw):
    visual = draw.normal(1, 216, 3)
    look = "A ValueError with side, both numbers of the grid, and the nearest side that divides both."
    expect_raises(lambda: subject(visual, (12, 18), 4), "ValueError", mentions=(4, 12, 18, 3), look=look)
    look = "A ValueError with how many tokens the grid holds, and how many were given."
    expect_raises(lambda: subject(visual, (10, 21), 1), "ValueError", mentions=(210, 216), look=look)


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

# (begin my_fusion)
#
#
#
# (end my_fusion)

# -----------------------------------------------------------------------------------------------------------

check = door(globals())
