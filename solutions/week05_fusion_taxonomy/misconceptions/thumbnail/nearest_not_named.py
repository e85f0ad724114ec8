"""Misconception: It is enough to say that side does not fit.

Tell: You refuse a side that does not fit and do not say which one would. Name the nearest: whoever reads
the message then knows what to write.

Caught by: what_does_not_fit_is_named, a_side_that_does_not_fit_is_refused
"""

from course_lib.stream_fusion import thumbnail as reference


def thumbnail(visual, grid, side):
    rows, columns = grid
    if side < 1 or rows % side or columns % side:
        raise ValueError(f"side={side} does not divide a grid of {rows} x {columns}.")
    return reference(visual, grid, side)
