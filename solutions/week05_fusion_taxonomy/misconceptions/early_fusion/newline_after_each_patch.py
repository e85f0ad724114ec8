"""Misconception: A newline follows each patch.

Tell: Your stream has a newline behind every patch: twice as many tokens as patches. Text is not written
so either. One follows each row.
Caught by: one_token_more_for_each_row, each_row_ends_with_the_newline,
the_stream_is_right_number_for_number, a_newline_stands_after_every_row, a_patch_moves_its_own_token,
wider_rows_change_only_the_newlines, map_and_newline_learn, rows_that_do_not_hold_the_patches_are_refused
"""

import torch

from course_lib.raw_patches import EarlyFusion as Reference


class EarlyFusion(Reference):
    def forward(self, patches, columns):
        super().forward(patches, columns)  # refuses rows that do not hold the patches
        b, v, _ = patches.shape
        tokens = self.vision_embed_tokens(patches)
        ends = self.newline.expand(b, v, -1)
        return torch.stack([tokens, ends], dim=2).flatten(1, 2)
