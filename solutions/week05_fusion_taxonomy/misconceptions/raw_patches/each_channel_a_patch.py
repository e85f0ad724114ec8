"""Misconception: A patch has one channel.

Tell: Each channel of a square became a patch of its own: three times as many patches, each a third as
long. A patch has all channels of its pixels.
Caught by: as_many_patches_as_rows_times_columns, a_patch_begins_with_its_first_pixel,
patches_come_row_by_row, numbers_of_a_patch_come_pixel_by_pixel, every_number_lands_in_its_place,
the_gradient_comes_back_to_its_pixel, what_patches_do_not_tile_is_refused,
a_patch_without_a_side_is_refused
"""

from einops import rearrange

from course_lib.raw_patches import raw_patches as reference


def raw_patches(pictures, patch):
    flat = reference(pictures, patch)
    return rearrange(flat, "b v (y x c) -> b (v c) (y x)", y=patch, x=patch)
