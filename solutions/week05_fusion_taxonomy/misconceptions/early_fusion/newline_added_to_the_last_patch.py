"""Misconception: The newline marks the last patch of a row.

Tell: You add the newline to the last patch of each row. It is a token of its own.
Caught by: TODO
"""

from course_lib.raw_patches import EarlyFusion as Reference


class EarlyFusion(Reference):
    def forward(self, patches, columns):
        super().forward(patches, columns)  # refuses rows that do not hold the patches
        tokens = self.vision_embed_tokens(patches)
        rows = tokens.unflatten(1, (-1, columns)).clone()
        rows[:, :, -1] = rows[:, :, -1] + self.newline
        return rows.flatten(1, 2)
