"""Misconception: A patch is made to have mean zero.

Tell: You subtract each patch's mean. That is a norm, which some models have here, and this one has not:
how bright a patch is would be lost before anybody has looked.
Caught by: TODO
"""

from course_lib.raw_patches import raw_patches as reference


def raw_patches(pictures, patch):
    flat = reference(pictures, patch)
    return flat - flat.mean(dim=-1, keepdim=True)
