"""Misconception: Rows are counted along the width.

Tell: You take the number of rows from the width and of columns from the height. On a square picture
nobody notices; on any other, what you cut are no squares.
Caught by: a_patch_begins_with_its_first_pixel, patches_come_row_by_row,
numbers_of_a_patch_come_pixel_by_pixel, every_number_lands_in_its_place,
the_gradient_comes_back_to_its_pixel
"""

from course_lib.raw_patches import raw_patches as reference


def raw_patches(pictures, patch):
    reference(pictures, patch)  # refuses what patches do not tile
    b, c, height, width = pictures.shape
    rows, columns = width // patch, height // patch
    cut = pictures.reshape(b, c, rows, patch, columns, patch)
    return cut.permute(0, 2, 4, 3, 5, 1).reshape(b, rows * columns, -1)
