"""Misconception: Width comes before height, all along.

Tell: You read the third axis as the width, so that patches and the pixels in them both run down the
columns. PyTorch's pictures are (batch, channels, height, width).
Caught by: a_patch_begins_with_its_first_pixel, patches_come_row_by_row,
numbers_of_a_patch_come_pixel_by_pixel, every_number_lands_in_its_place,
the_gradient_comes_back_to_its_pixel
"""

from einops import rearrange

from course_lib.raw_patches import raw_patches as reference


def raw_patches(pictures, patch):
    flat, rows = reference(pictures, patch), pictures.shape[2] // patch
    return rearrange(flat, "b (row col) (y x c) -> b (col row) (x y c)", row=rows, y=patch, x=patch)
