"""Misconception: The first row is at the bottom.

Tell: Your first row of patches is the lowest one of the picture, as the y axis of a plot has it. In a
picture, row 0 is on top.
Caught by: a_patch_begins_with_its_first_pixel, patches_come_row_by_row, every_number_lands_in_its_place,
the_gradient_comes_back_to_its_pixel
"""

from einops import rearrange

from course_lib.raw_patches import raw_patches as reference


def raw_patches(pictures, patch):
    flat, rows = reference(pictures, patch), pictures.shape[2] // patch
    return rearrange(
        rearrange(flat, "b (row col) k -> b row col k", row=rows).flip(1), "b row col k -> b (row col) k"
    )
