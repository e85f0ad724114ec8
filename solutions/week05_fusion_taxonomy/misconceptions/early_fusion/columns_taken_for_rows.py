"""Misconception: columns is how many rows there are.

Tell: You cut the patches into `columns` rows. It is how many patches stand in one row; how many rows
that makes follows from v.
Caught by: TODO
"""

from course_lib.raw_patches import EarlyFusion as Reference


class EarlyFusion(Reference):
    def forward(self, patches, columns):
        super().forward(patches, columns)  # refuses rows that do not hold the patches
        return super().forward(patches, patches.shape[1] // columns)
