"""Misconception: A row begins with its newline.

Tell: Your newlines stand in front of the rows. A newline ends a line; a causal model needs it right
behind the row, to know that the row is over.
Caught by: each_row_ends_with_the_newline, the_stream_is_right_number_for_number,
a_newline_stands_after_every_row, a_patch_moves_its_own_token, wider_rows_change_only_the_newlines,
map_and_newline_learn
"""

import torch

from course_lib.raw_patches import EarlyFusion as Reference


class EarlyFusion(Reference):
    def forward(self, patches, columns):
        super().forward(patches, columns)  # refuses rows that do not hold the patches
        b, v, _ = patches.shape
        tokens = self.vision_embed_tokens(patches)
        rows = tokens.unflatten(1, (-1, columns))
        ends = self.newline.expand(b, v // columns, 1, -1)
        return torch.cat([ends, rows], dim=2).flatten(1, 2)
