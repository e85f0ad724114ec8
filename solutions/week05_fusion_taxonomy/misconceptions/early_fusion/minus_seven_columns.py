"""Misconception: A number that divides is a number of columns.

Tell: You look at the remainder and not at the sign: 28 % -7 is 0, and 27 % 0 is a ZeroDivisionError. Ask
first whether columns is at least one.
Caught by: rows_that_do_not_hold_the_patches_are_refused
"""

from course_lib.raw_patches import EarlyFusion as Reference


class EarlyFusion(Reference):
    def forward(self, patches, columns):
        v = patches.shape[1]
        if v % columns:
            raise ValueError(f"{v} patches do not make rows of {columns}")
        return super().forward(patches, abs(columns))
