"""Misconception: Rows are counted along the width.

Tell: You take the number of rows from the width and of columns from the height. On a square picture
nobody notices; on any other, what you cut are no squares.
Caught by: TODO
"""

from course_lib.raw_patches import raw_patches as reference


def raw_patches(pictures, patch):
    reference(pictures, patch)  # refuses what patches do not tile
    b, c, height, width = pictures.shape
    rows, columns = width // patch, height // patch
    cut = pictures.reshape(b, c, rows, patch, columns, patch)
    return cut.permute(0, 2, 4, 3, 5, 1).reshape(b, rows * columns, -1)
