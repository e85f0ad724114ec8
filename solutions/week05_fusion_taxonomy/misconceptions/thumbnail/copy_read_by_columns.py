"""Misconception: The order of the copy's tokens is free.

Tell: Your cells are right and stand in the wrong order: the copy is read column by column. Row by row,
as the patches are.

Caught by: blocks_become_their_values, each_token_is_the_mean_of_its_cell,
a_patch_changes_its_own_cell_alone, the_two_ends_are_the_tokens_and_their_mean,
every_patch_has_its_share_of_the_gradient
"""

from einops import reduce

from course_lib.stream_fusion import thumbnail as reference


def thumbnail(visual, grid, side):
    reference(visual, grid, side)  # its errors
    rows, _ = grid
    return reduce(visual, "b (y i x j) d -> b (x y) d", "mean", y=side, x=side, i=rows // side)
