"""Misconception: A grid is given as width and height.

Tell: You take the grid as (columns, rows). On a square nobody notices; on any other picture the rows
break in the wrong places.

Caught by: nobody
"""

from einops import reduce

from course_lib.stream_fusion import thumbnail as reference


def thumbnail(visual, grid, side):
    reference(visual, grid, side)  # its errors
    _, columns = grid
    return reduce(visual, "b (y i x j) d -> b (y x) d", "mean", y=side, x=side, i=columns // side)
