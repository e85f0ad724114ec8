"""Misconception: That it is wrong is all there is to say.

Tell: Your error does not say how many patches and how many columns it was given.
Caught by: no_patch_is_dropped_in_silence, rows_that_do_not_hold_the_patches_are_refused
"""

from course_lib.raw_patches import EarlyFusion as Reference


class EarlyFusion(Reference):
    def forward(self, patches, columns):
        try:
            return super().forward(patches, columns)
        except ValueError:
            raise ValueError("rows and patches do not fit") from None
