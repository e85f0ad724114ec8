"""Misconception: A picture has as many rows as columns.

Tell: You take the side of the grid from the number of tokens, as if every picture were square. The grid
is given; use it.

Caught by: nobody
"""

from einops import reduce

from course_lib.stream_fusion import thumbnail as reference


def thumbnail(visual, grid, side):
    reference(visual, grid, side)  # its errors
    edge = round(visual.shape[1] ** 0.5)
    return reduce(visual, "b (y i x j) d -> b (y x) d", "mean", y=side, x=side, i=edge // side)
