"""Misconception: The channels of a patch stay apart, as they are in the picture.

Tell: Your patches hold all of the first channel, then all of the second. That is the order F.unfold
gives, and it is as good as any for a map trained with it. Fuyu's map was trained with the channels of a
pixel side by side: (y x c).
Caught by: a_patch_begins_with_its_first_pixel, numbers_of_a_patch_come_pixel_by_pixel,
every_number_lands_in_its_place, the_gradient_comes_back_to_its_pixel
"""

from einops import rearrange

from course_lib.raw_patches import raw_patches as reference


def raw_patches(pictures, patch):
    flat = reference(pictures, patch)
    return rearrange(flat, "b v (y x c) -> b v (c y x)", y=patch, x=patch)
