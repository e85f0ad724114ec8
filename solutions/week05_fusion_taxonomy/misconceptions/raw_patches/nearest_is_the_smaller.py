"""Misconception: The nearest size is the next smaller one.

Tell: Your message always rounds down. From 37 pixels, three patches of 13 are 2 away and two are 11
away.
Caught by: the_nearest_size_is_named
"""

from course_lib.raw_patches import raw_patches as reference


def raw_patches(pictures, patch):
    height, width = pictures.shape[2:]
    if patch >= 1 and (height % patch or width % patch):
        near = [side // patch * patch for side in (height, width)]
        raise ValueError(f"{height} x {width} in patches of {patch}: nearest is {near[0]} x {near[1]}")
    return reference(pictures, patch)
