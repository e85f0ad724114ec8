"""Misconception: Pixels still have to be brought to 0 to 1.

Tell: You divide by 255. The pictures come as floats that have been scaled already; every number is
handed on as it is.
Caught by: TODO
"""

from course_lib.raw_patches import raw_patches as reference


def raw_patches(pictures, patch):
    return reference(pictures, patch) / 255
