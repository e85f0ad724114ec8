"""Misconception: Pooling takes the largest.

Tell: You take the largest of each feature in a cell; the mean is asked for.

Caught by: nobody
"""

from einops import reduce

from course_lib.stream_fusion import thumbnail as reference


def thumbnail(visual, grid, side):
    reference(visual, grid, side)  # its errors
    rows, _ = grid
    return reduce(visual, "b (y i x j) d -> b (y x) d", "max", y=side, x=side, i=rows // side)
