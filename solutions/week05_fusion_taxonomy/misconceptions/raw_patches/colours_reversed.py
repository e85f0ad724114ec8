"""Misconception: Red comes last.

Tell: The channels of a pixel come out in the opposite order, as in BGR. Keep them as they are in the
picture.
Caught by: TODO
"""

from course_lib.raw_patches import raw_patches as reference


def raw_patches(pictures, patch):
    return reference(pictures.flip(1), patch)
