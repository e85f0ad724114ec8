"""Misconception: If side divides the rows, it fits.

Tell: You check the rows and not the columns. A side has to divide both.

Caught by: what_does_not_fit_is_named, a_side_that_does_not_fit_is_refused
"""

from einops import reduce

from course_lib.stream_fusion import thumbnail as reference


def thumbnail(visual, grid, side):
    rows, columns = grid
    if side >= 1 and rows % side == 0 and rows * columns == visual.shape[1]:
        return reduce(visual, "b (y i x j) d -> b (y x) d", "mean", y=side, x=side, i=rows // side)
    return reference(visual, grid, side)
