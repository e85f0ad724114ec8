"""Misconception: The mask is taken and not handed on.

Tell: You take visual_mask and call the Q-Former without it, so hidden patches are read like real ones.
It is the fifth argument.
Caught by: the_mask_arrives_at_the_qformer
"""

from course_lib.blip2_stage2 import QueryPrefix as Reference


class QueryPrefix(Reference):
    def forward(self, visual, visual_mask=None):
        return super().forward(visual)
