"""Misconception: In a patch, pixels are read column by column.

Tell: Within a patch you go down before you go right. Patches stand where they should; it is the pixels
in each that are transposed.
Caught by: a_patch_begins_with_its_first_pixel, numbers_of_a_patch_come_pixel_by_pixel,
every_number_lands_in_its_place, the_gradient_comes_back_to_its_pixel
"""

from einops import rearrange

from course_lib.raw_patches import raw_patches as reference


def raw_patches(pictures, patch):
    flat = reference(pictures, patch)
    return rearrange(flat, "b v (y x c) -> b v (x y c)", y=patch, x=patch)
