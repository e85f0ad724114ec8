"""Misconception: A picture has as many rows as columns.

Tell: You take the side of the grid from the number of tokens, as if every picture were square. The grid
is given; use it.

Caught by: blocks_become_their_values, one_cell_is_the_mean_of_all, each_token_is_the_mean_of_its_cell,
a_patch_changes_its_own_cell_alone, the_two_ends_are_the_tokens_and_their_mean
"""

from einops import reduce

from course_lib.stream_fusion import thumbnail as reference


def thumbnail(visual, grid, side):
    reference(visual, grid, side)  # its errors
    edge = round(visual.shape[1] ** 0.5)
    return reduce(visual, "b (y i x j) d -> b (y x) d", "mean", y=side, x=side, i=edge // side)
