"""Misconception: Pixels still have to be brought to 0 to 1.

Tell: You divide by 255. The pictures come as floats that have been scaled already; every number is
handed on as it is.
Caught by: a_patch_begins_with_its_first_pixel, patches_come_row_by_row,
numbers_of_a_patch_come_pixel_by_pixel, every_number_lands_in_its_place,
the_gradient_comes_back_to_its_pixel
"""

from course_lib.raw_patches import raw_patches as reference


def raw_patches(pictures, patch):
    return reference(pictures, patch) / 255
