"""Misconception: `side` says how large a cell is.

Tell: You make cells of side x side patches. `side` says how many cells there are in each direction; how
large they are follows.

Caught by: nobody
"""

from einops import reduce

from course_lib.stream_fusion import thumbnail as reference


def thumbnail(visual, grid, side):
    reference(visual, grid, side)  # its errors
    rows, columns = grid
    return reduce(visual, "b (y i x j) d -> b (y x) d", "mean", y=rows // side, x=columns // side, i=side)
