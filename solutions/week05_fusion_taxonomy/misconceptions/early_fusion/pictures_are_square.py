"""Misconception: Pictures are square.

Tell: You take the square root of the number of patches for the width of a row. columns says what it is;
36 patches may be 4 rows of 9.
Caught by: one_token_more_for_each_row, each_row_ends_with_the_newline,
the_stream_is_right_number_for_number, a_newline_stands_after_every_row, a_patch_moves_its_own_token,
wider_rows_change_only_the_newlines, map_and_newline_learn
"""

from course_lib.raw_patches import EarlyFusion as Reference


class EarlyFusion(Reference):
    def forward(self, patches, columns):
        super().forward(patches, columns)  # refuses rows that do not hold the patches
        v = patches.shape[1]
        side = round(v**0.5)
        return super().forward(patches, side if v % side == 0 else columns)
