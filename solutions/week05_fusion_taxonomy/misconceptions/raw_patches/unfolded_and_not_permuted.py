"""Misconception: After unfold, the axes already stand in the right order.

Tell: unfold twice gives (b, c, rows, columns, y, x): the channels are still in front. Flattened from
there, a patch of yours holds pieces of one channel of several squares.
Caught by: a_patch_begins_with_its_first_pixel, patches_come_row_by_row,
numbers_of_a_patch_come_pixel_by_pixel, every_number_lands_in_its_place,
the_gradient_comes_back_to_its_pixel
"""

from course_lib.raw_patches import raw_patches as reference


def raw_patches(pictures, patch):
    shape = reference(pictures, patch).shape
    return pictures.unfold(2, patch, patch).unfold(3, patch, patch).reshape(shape)
