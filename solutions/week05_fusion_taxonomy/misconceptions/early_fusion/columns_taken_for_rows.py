"""Misconception: columns is how many rows there are.

Tell: You cut the patches into `columns` rows. It is how many patches stand in one row; how many rows
that makes follows from v.
Caught by: one_token_more_for_each_row, each_row_ends_with_the_newline,
the_stream_is_right_number_for_number, a_newline_stands_after_every_row, a_patch_moves_its_own_token,
wider_rows_change_only_the_newlines, map_and_newline_learn, rows_that_do_not_hold_the_patches_are_refused
"""

from course_lib.raw_patches import EarlyFusion as Reference


class EarlyFusion(Reference):
    def forward(self, patches, columns):
        super().forward(patches, columns)  # refuses rows that do not hold the patches
        return super().forward(patches, patches.shape[1] // columns)
