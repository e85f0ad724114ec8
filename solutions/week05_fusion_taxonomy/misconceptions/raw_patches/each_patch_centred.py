"""Misconception: A patch is made to have mean zero.

Tell: You subtract each patch's mean. That is a norm, which some models have here, and this one has not:
how bright a patch is would be lost before anybody has looked.
Caught by: a_patch_begins_with_its_first_pixel, patches_come_row_by_row,
numbers_of_a_patch_come_pixel_by_pixel, every_number_lands_in_its_place,
the_gradient_comes_back_to_its_pixel
"""

from course_lib.raw_patches import raw_patches as reference


def raw_patches(pictures, patch):
    flat = reference(pictures, patch)
    return flat - flat.mean(dim=-1, keepdim=True)
