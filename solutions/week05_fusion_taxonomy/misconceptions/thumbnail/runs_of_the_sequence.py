"""Misconception: Neighbours in the sequence are neighbours in the picture.

Tell: You average runs of the sequence. A run follows a row and breaks off at its end: the patch below is
a neighbour, too, and it stands a whole row further on.

Caught by: blocks_become_their_values, each_token_is_the_mean_of_its_cell,
a_patch_changes_its_own_cell_alone, every_patch_has_its_share_of_the_gradient
"""

from einops import reduce

from course_lib.stream_fusion import thumbnail as reference


def thumbnail(visual, grid, side):
    reference(visual, grid, side)  # its errors
    return reduce(visual, "b (n k) d -> b n d", "mean", n=side * side)
