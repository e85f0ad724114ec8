"""Misconception: If the height is tiled, so is the width.

Tell: You look at the height alone. A picture 26 pixels high and 41 wide gets through, and its right edge
is lost.
Caught by: no_pixel_is_dropped_in_silence, what_patches_do_not_tile_is_refused, the_nearest_size_is_named
"""

from course_lib.raw_patches import raw_patches as reference


def raw_patches(pictures, patch):
    if patch < 1 or pictures.shape[2] % patch:
        return reference(pictures, patch)
    return reference(pictures[..., : pictures.shape[3] // patch * patch], patch)
