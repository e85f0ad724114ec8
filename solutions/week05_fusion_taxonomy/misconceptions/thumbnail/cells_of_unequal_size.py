"""Misconception: Where side does not divide the grid, cells overlap a little.

Tell: You accept a side that does not divide the grid: adaptive pooling then makes cells that overlap, so
a patch counts in two. A side that does not fit is to be refused.

Caught by: what_does_not_fit_is_named, a_side_that_does_not_fit_is_refused
"""

import torch.nn.functional as F
from einops import rearrange

from course_lib.stream_fusion import thumbnail as reference


def thumbnail(visual, grid, side):
    rows, columns = grid
    if side < 1 or rows * columns != visual.shape[1]:
        return reference(visual, grid, side)
    tokens = rearrange(visual, "b (y x) d -> b d y x", y=rows)
    return rearrange(F.adaptive_avg_pool2d(tokens, side), "b d y x -> b (y x) d")
