"""Misconception: Tokens are scaled by the root of their width.

Tell: Everything is multiplied by the square root of d_text, as some language models do with their word
embeddings. Fuyu does not, and here nothing is scaled.
Caught by: each_row_ends_with_the_newline, the_stream_is_right_number_for_number,
a_newline_stands_after_every_row, map_and_newline_learn
"""

from course_lib.raw_patches import EarlyFusion as Reference


class EarlyFusion(Reference):
    def forward(self, patches, columns):
        return super().forward(patches, columns) * self.newline.numel() ** 0.5
