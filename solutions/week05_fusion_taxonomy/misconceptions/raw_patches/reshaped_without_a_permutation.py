"""Misconception: A reshape cuts a picture into squares.

Tell: You reshape and never permute. A reshape keeps the numbers in the order in which they lie in
memory, so that a patch of yours is a strip of one channel's rows, and no square.
Caught by: TODO
"""

from course_lib.raw_patches import raw_patches as reference


def raw_patches(pictures, patch):
    return pictures.reshape(reference(pictures, patch).shape)
