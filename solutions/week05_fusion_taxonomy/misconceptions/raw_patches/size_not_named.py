"""Misconception: That it is wrong is all there is to say.

Tell: Your error does not say which size it was given. Who reads it has to search for it.
Caught by: TODO
"""

from course_lib.raw_patches import raw_patches as reference


def raw_patches(pictures, patch):
    try:
        return reference(pictures, patch)
    except ValueError:
        raise ValueError("patches do not tile this picture") from None
