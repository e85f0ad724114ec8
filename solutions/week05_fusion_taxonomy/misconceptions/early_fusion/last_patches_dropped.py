"""Misconception: What fills no row is left out.

Tell: Patches that do not fill a row are dropped without a word. That columns does not divide v is a
mistake made earlier; say so at once, with both numbers.
Caught by: no_patch_is_dropped_in_silence, rows_that_do_not_hold_the_patches_are_refused
"""

from course_lib.raw_patches import EarlyFusion as Reference


class EarlyFusion(Reference):
    def forward(self, patches, columns):
        if columns < 1 or columns > patches.shape[1]:
            return super().forward(patches, columns)
        return super().forward(patches[:, : patches.shape[1] // columns * columns], columns)
