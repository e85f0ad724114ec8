"""Misconception: Pictures are square.

Tell: You take the square root of the number of patches for the width of a row. columns says what it is;
36 patches may be 4 rows of 9.
Caught by: TODO
"""

from course_lib.raw_patches import EarlyFusion as Reference


class EarlyFusion(Reference):
    def forward(self, patches, columns):
        super().forward(patches, columns)  # refuses rows that do not hold the patches
        v = patches.shape[1]
        side = round(v**0.5)
        return super().forward(patches, side if v % side == 0 else columns)
