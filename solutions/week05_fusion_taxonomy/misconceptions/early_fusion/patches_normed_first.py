"""Misconception: Raw patches are normed before the map.

Tell: You norm each patch before the map. Gemma-4-unified does so; Fuyu does not, and neither does this
exercise.
Caught by: the_stream_is_right_number_for_number, map_and_newline_learn
"""

import torch.nn.functional as F

from course_lib.raw_patches import EarlyFusion as Reference


class EarlyFusion(Reference):
    def forward(self, patches, columns):
        return super().forward(F.layer_norm(patches, patches.shape[-1:]), columns)
