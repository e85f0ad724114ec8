"""Misconception: The last row needs no newline.

Tell: You put newlines between the rows, as join does, and none behind the last. Fuyu ends every row with
one, the last row too.
Caught by: TODO
"""

from course_lib.raw_patches import EarlyFusion as Reference


class EarlyFusion(Reference):
    def forward(self, patches, columns):
        return super().forward(patches, columns)[:, :-1]
