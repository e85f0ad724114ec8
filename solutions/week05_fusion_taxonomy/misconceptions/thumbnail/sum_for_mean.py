"""Misconception: A cell is the sum of its patches.

Tell: Your cells are sums. The coarser the copy, the louder its tokens; a mean keeps them as large as
patches are.

Caught by: nobody
"""

from einops import reduce

from course_lib.stream_fusion import thumbnail as reference


def thumbnail(visual, grid, side):
    reference(visual, grid, side)  # its errors
    rows, _ = grid
    return reduce(visual, "b (y i x j) d -> b (y x) d", "sum", y=side, x=side, i=rows // side)
