"""Misconception: Pixels never need a gradient.

Tell: You detach the picture, for numpy or by habit. What a pixel changes in an answer can then no longer
be asked.
Caught by: the_gradient_comes_back_to_its_pixel
"""

from course_lib.raw_patches import raw_patches as reference


def raw_patches(pictures, patch):
    return reference(pictures.detach(), patch)
