"""Misconception: Shrinking a picture is bilinear interpolation.

Tell: You interpolate. Without smoothing, bilinear looks at the 2 x 2 patches nearest to a cell's middle,
so from 3 x 3 on, patches of a cell go unseen. At 2 x 2 it happens to be the mean.

Caught by: one_cell_is_the_mean_of_all, each_token_is_the_mean_of_its_cell,
a_patch_changes_its_own_cell_alone, the_two_ends_are_the_tokens_and_their_mean,
every_patch_has_its_share_of_the_gradient
"""

import torch.nn.functional as F
from einops import rearrange

from course_lib.stream_fusion import thumbnail as reference


def thumbnail(visual, grid, side):
    reference(visual, grid, side)  # its errors
    rows, _ = grid
    tokens = rearrange(visual, "b (y x) d -> b d y x", y=rows)
    tokens = F.interpolate(tokens, size=(side, side), mode="bilinear", align_corners=False)
    return rearrange(tokens, "b d y x -> b (y x) d")
