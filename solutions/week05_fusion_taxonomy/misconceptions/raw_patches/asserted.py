"""Misconception: An assert is enough.

Tell: You assert that patches tile the picture. An assert is for what cannot happen, and vanishes under
python -O; a caller can cause this. Raise a ValueError.
Caught by: TODO
"""

from course_lib.raw_patches import raw_patches as reference


def raw_patches(pictures, patch):
    try:
        return reference(pictures, patch)
    except ValueError as problem:
        raise AssertionError(str(problem)) from None
