"""Misconception: A thumbnail is preprocessing.

Tell: No gradient passes through your thumbnail. What stands in front of it may train: positions do, in
this course.

Caught by: every_patch_has_its_share_of_the_gradient
"""

from einops import reduce

from course_lib.stream_fusion import thumbnail as reference


def thumbnail(visual, grid, side):
    reference(visual, grid, side)  # its errors
    rows, _ = grid
    return reduce(visual.detach(), "b (y i x j) d -> b (y x) d", "mean", y=side, x=side, i=rows // side)
