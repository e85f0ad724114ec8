"""Misconception: What is left over is cut away.

Tell: Pixels beyond the last whole patch are dropped without a word. A line of text at the edge is then
gone, and nobody knows. Refuse the picture, and name the size.
Caught by: no_pixel_is_dropped_in_silence, what_patches_do_not_tile_is_refused, the_nearest_size_is_named
"""

from course_lib.raw_patches import raw_patches as reference


def raw_patches(pictures, patch):
    if patch < 1:
        return reference(pictures, patch)
    height, width = (side // patch * patch for side in pictures.shape[2:])
    return reference(pictures[:, :, :height, :width], patch)
