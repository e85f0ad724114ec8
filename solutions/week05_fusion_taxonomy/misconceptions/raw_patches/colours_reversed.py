"""Misconception: Red comes last.

Tell: The channels of a pixel come out in the opposite order, as in BGR. Keep them as they are in the
picture.
Caught by: a_patch_begins_with_its_first_pixel, numbers_of_a_patch_come_pixel_by_pixel,
every_number_lands_in_its_place, the_gradient_comes_back_to_its_pixel
"""

from course_lib.raw_patches import raw_patches as reference


def raw_patches(pictures, patch):
    return reference(pictures.flip(1), patch)
