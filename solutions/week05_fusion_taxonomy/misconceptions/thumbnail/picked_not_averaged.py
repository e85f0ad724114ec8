"""Misconception: A thumbnail takes every n-th patch.

Tell: You take one patch of each cell, the one at its top left. A thing that stands a patch further on is
then missing from the copy.

Caught by: one_cell_is_the_mean_of_all, each_token_is_the_mean_of_its_cell,
a_patch_changes_its_own_cell_alone, the_two_ends_are_the_tokens_and_their_mean,
every_patch_has_its_share_of_the_gradient
"""

from einops import rearrange

from course_lib.stream_fusion import thumbnail as reference


def thumbnail(visual, grid, side):
    reference(visual, grid, side)  # its errors
    rows, columns = grid
    tokens = rearrange(visual, "b (y x) d -> b y x d", y=rows)[:, :: rows // side, :: columns // side]
    return rearrange(tokens, "b y x d -> b (y x) d")
