"""Misconception: Patches are read column by column.

Tell: Your second patch is the one below the first. Patches are read as text is: along a row, then the
next row. A newline after each row would else stand in the middle of columns.
Caught by: a_patch_begins_with_its_first_pixel, patches_come_row_by_row, every_number_lands_in_its_place,
the_gradient_comes_back_to_its_pixel
"""

from einops import rearrange

from course_lib.raw_patches import raw_patches as reference


def raw_patches(pictures, patch):
    flat, rows = reference(pictures, patch), pictures.shape[2] // patch
    return rearrange(flat, "b (row col) k -> b (col row) k", row=rows)
