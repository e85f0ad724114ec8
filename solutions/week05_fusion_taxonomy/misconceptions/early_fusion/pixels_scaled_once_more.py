"""Misconception: The patches still have to be scaled.

Tell: You divide the patches by 255 before the map. They come as floats that have been scaled already.
Caught by: the_stream_is_right_number_for_number, map_and_newline_learn
"""

from course_lib.raw_patches import EarlyFusion as Reference


class EarlyFusion(Reference):
    def forward(self, patches, columns):
        return super().forward(patches / 255, columns)
