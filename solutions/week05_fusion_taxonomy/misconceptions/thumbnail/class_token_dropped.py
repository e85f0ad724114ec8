"""Misconception: A token too many is the class token, and goes.

Tell: You drop what the grid does not hold, without a word. Whether a class token came along, and at
which end, is for the caller to know: a grid that does not fit is to be refused.

Caught by: what_does_not_fit_is_named, a_grid_that_does_not_hold_the_tokens_is_refused
"""

from course_lib.stream_fusion import thumbnail as reference


def thumbnail(visual, grid, side):
    rows, columns = grid
    return reference(visual[:, -rows * columns :], grid, side)
