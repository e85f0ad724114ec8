"""Misconception: An assert is enough.

Tell: You assert that patches tile the picture. An assert is for what cannot happen, and vanishes under
python -O; a caller can cause this. Raise a ValueError.
Caught by: no_pixel_is_dropped_in_silence, what_patches_do_not_tile_is_refused,
the_nearest_size_is_named, a_patch_without_a_side_is_refused
"""

from course_lib.raw_patches import raw_patches as reference


def raw_patches(pictures, patch):
    try:
        return reference(pictures, patch)
    except ValueError as problem:
        raise AssertionError(str(problem)) from None
