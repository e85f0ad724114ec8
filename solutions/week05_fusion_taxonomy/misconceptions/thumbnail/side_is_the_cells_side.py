"""Misconception: `side` says how large a cell is.

Tell: You make cells of side x side patches. `side` says how many cells there are in each direction; how
large they are follows.

Caught by: blocks_become_their_values, one_cell_is_the_mean_of_all, each_token_is_the_mean_of_its_cell,
a_patch_changes_its_own_cell_alone, the_two_ends_are_the_tokens_and_their_mean,
every_patch_has_its_share_of_the_gradient, a_side_that_does_not_fit_is_refused,
a_grid_that_does_not_hold_the_tokens_is_refused
"""

from einops import reduce

from course_lib.stream_fusion import thumbnail as reference


def thumbnail(visual, grid, side):
    reference(visual, grid, side)  # its errors
    rows, columns = grid
    return reduce(visual, "b (y i x j) d -> b (y x) d", "mean", y=rows // side, x=columns // side, i=side)
