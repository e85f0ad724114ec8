"""Misconception: A thumbnail takes every n-th patch.

Tell: You take one patch of each cell, the one at its top left. A thing that stands a patch further on is
then missing from the copy.

Caught by: nobody
"""

from einops import rearrange

from course_lib.stream_fusion import thumbnail as reference


def thumbnail(visual, grid, side):
    reference(visual, grid, side)  # its errors
    rows, columns = grid
    tokens = rearrange(visual, "b (y x) d -> b y x d", y=rows)[:, :: rows // side, :: columns // side]
    return rearrange(tokens, "b y x d -> b (y x) d")
