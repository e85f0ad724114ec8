"""Misconception: A grid is given as width and height.

Tell: You take the grid as (columns, rows). On a square nobody notices; on any other picture the rows
break in the wrong places.

Caught by: blocks_become_their_values, each_token_is_the_mean_of_its_cell,
a_patch_changes_its_own_cell_alone, every_patch_has_its_share_of_the_gradient
"""

from einops import reduce

from course_lib.stream_fusion import thumbnail as reference


def thumbnail(visual, grid, side):
    reference(visual, grid, side)  # its errors
    _, columns = grid
    return reduce(visual, "b (y i x j) d -> b (y x) d", "mean", y=side, x=side, i=columns // side)
