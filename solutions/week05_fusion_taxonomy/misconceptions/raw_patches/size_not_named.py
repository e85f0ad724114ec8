"""Misconception: That it is wrong is all there is to say.

Tell: Your error does not say which size it was given. Who reads it has to search for it.
Caught by: no_pixel_is_dropped_in_silence, what_patches_do_not_tile_is_refused,
the_nearest_size_is_named, a_patch_without_a_side_is_refused
"""

from course_lib.raw_patches import raw_patches as reference


def raw_patches(pictures, patch):
    try:
        return reference(pictures, patch)
    except ValueError:
        raise ValueError("patches do not tile this picture") from None
