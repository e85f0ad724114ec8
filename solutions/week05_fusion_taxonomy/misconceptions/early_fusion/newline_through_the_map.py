"""Misconception: The newline is a patch, too.

Tell: Your newline is a vector of as many numbers as a patch has, and goes through the map. It stands in
the stream as it is, and is as wide as a word.
Caught by: each_row_ends_with_the_newline, the_stream_is_right_number_for_number,
a_newline_stands_after_every_row, a_patch_moves_its_own_token, wider_rows_change_only_the_newlines,
map_and_newline_learn, nothing_besides_the_map_and_the_newline
"""

import torch
from torch import nn

from course_lib.raw_patches import EarlyFusion as Reference


class EarlyFusion(Reference):
    def __init__(self, n_numbers, d_text):
        super().__init__(n_numbers, d_text)
        self.newline = nn.Parameter(0.02 * torch.randn(n_numbers))

    def forward(self, patches, columns):
        b, v, k = patches.shape
        if columns < 1 or v % columns:
            raise ValueError(f"{v} patches do not make rows of {columns}")
        ends = self.newline.expand(b, v // columns, 1, k)
        rows = torch.cat([patches.unflatten(1, (-1, columns)), ends], dim=2).flatten(1, 2)
        return self.vision_embed_tokens(rows)
