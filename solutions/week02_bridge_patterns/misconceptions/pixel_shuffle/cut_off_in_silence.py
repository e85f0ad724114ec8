"""Misconception: What does not fill a whole block is left out.

Tell: Where the factor does not divide the grid, you cut the last rows or columns off and say nothing. A
caption about the right-hand edge would then be learned from nothing. Raise a ValueError instead.
Caught by: a_factor_that_does_not_divide_is_an_error
"""

from einops import rearrange

from course_lib.projectors import pixel_shuffle as reference


def pixel_shuffle(visual, grid, factor):
    rows, columns = grid
    if rows * columns != visual.shape[1]:
        raise ValueError(f"{rows} x {columns} patches are not {visual.shape[1]} tokens")
    picture = rearrange(visual, "b (rows columns) d -> b rows columns d", columns=columns)
    whole = picture[:, : rows // factor * factor, : columns // factor * factor]
    grid = (whole.shape[1], whole.shape[2])
    return reference(rearrange(whole, "b rows columns d -> b (rows columns) d"), grid, factor)
