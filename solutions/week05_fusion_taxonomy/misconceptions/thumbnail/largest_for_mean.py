"""Misconception: Pooling takes the largest.

Tell: You take the largest of each feature in a cell; the mean is asked for.

Caught by: one_cell_is_the_mean_of_all, each_token_is_the_mean_of_its_cell,
the_two_ends_are_the_tokens_and_their_mean, every_patch_has_its_share_of_the_gradient
"""

from einops import reduce

from course_lib.stream_fusion import thumbnail as reference


def thumbnail(visual, grid, side):
    reference(visual, grid, side)  # its errors
    rows, _ = grid
    return reduce(visual, "b (y i x j) d -> b (y x) d", "max", y=side, x=side, i=rows // side)
