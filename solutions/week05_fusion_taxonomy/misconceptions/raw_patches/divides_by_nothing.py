"""Misconception: Nobody asks for a patch of 0.

Tell: You divide by patch before you look at it. With patch 0 that is a ZeroDivisionError, which does not
say what was wrong.
Caught by: a_patch_without_a_side_is_refused
"""

from course_lib.raw_patches import raw_patches as reference


def raw_patches(pictures, patch):
    pictures.shape[2] % patch
    return reference(pictures, patch)
