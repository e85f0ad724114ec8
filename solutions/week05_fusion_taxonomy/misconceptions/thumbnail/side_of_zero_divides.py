"""Misconception: A remainder says whether side fits.

Tell: side=0 ends in a ZeroDivisionError: Python has no remainder of a division by 0. Ask first whether
side is at least 1.

Caught by: a_side_that_does_not_fit_is_refused
"""

from course_lib.stream_fusion import thumbnail as reference


def thumbnail(visual, grid, side):
    _left_over = [n % side for n in grid]
    return reference(visual, grid, side)
