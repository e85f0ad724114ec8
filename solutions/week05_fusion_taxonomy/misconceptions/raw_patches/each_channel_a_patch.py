"""Misconception: A patch has one channel.

Tell: Each channel of a square became a patch of its own: three times as many patches, each a third as
long. A patch has all channels of its pixels.
Caught by: TODO
"""

from einops import rearrange

from course_lib.raw_patches import raw_patches as reference


def raw_patches(pictures, patch):
    flat = reference(pictures, patch)
    return rearrange(flat, "b v (y x c) -> b (v c) (y x)", y=patch, x=patch)
