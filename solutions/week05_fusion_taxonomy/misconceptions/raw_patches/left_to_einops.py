"""Misconception: The library will complain by itself.

Tell: You leave it to einops or to reshape to find out that patches do not tile the picture. Their errors
are no ValueError, and they speak of axes, and not of what to do.
Caught by: no_pixel_is_dropped_in_silence, what_patches_do_not_tile_is_refused, the_nearest_size_is_named
"""

from einops import rearrange

from course_lib.raw_patches import raw_patches as reference


def raw_patches(pictures, patch):
    if patch < 1:
        return reference(pictures, patch)
    return rearrange(pictures, "b c (row y) (col x) -> b (row col) (y x c)", y=patch, x=patch)
