"""Misconception: A reshape cuts a picture into squares.

Tell: You reshape and never permute. A reshape keeps the numbers in the order in which they lie in
memory, so that a patch of yours is a strip of one channel's rows, and no square.
Caught by: a_patch_begins_with_its_first_pixel, patches_come_row_by_row,
numbers_of_a_patch_come_pixel_by_pixel, every_number_lands_in_its_place,
the_gradient_comes_back_to_its_pixel
"""

from course_lib.raw_patches import raw_patches as reference


def raw_patches(pictures, patch):
    return pictures.reshape(reference(pictures, patch).shape)
