"""Misconception: Patches stand column by column.

Tell: You read the sequence as if it ran down the columns. An encoder reads row by row: the second patch
is to the right of the first.

Caught by: nobody
"""

from einops import reduce

from course_lib.stream_fusion import thumbnail as reference


def thumbnail(visual, grid, side):
    reference(visual, grid, side)  # its errors
    rows, _ = grid
    return reduce(visual, "b (x j y i) d -> b (y x) d", "mean", y=side, x=side, i=rows // side)
