"""Misconception: After unfold, the axes already stand in the right order.

Tell: unfold twice gives (b, c, rows, columns, y, x): the channels are still in front. Flattened from
there, a patch of yours holds pieces of one channel of several squares.
Caught by: TODO
"""

from course_lib.raw_patches import raw_patches as reference


def raw_patches(pictures, patch):
    shape = reference(pictures, patch).shape
    return pictures.unfold(2, patch, patch).unfold(3, patch, patch).reshape(shape)
