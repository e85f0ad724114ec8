"""Misconception: True in visual_mask means: hide.

Tell: You turn the mask round. Here True means keep, in your arguments and in the Q-Former's.
Caught by: the_mask_arrives_at_the_qformer
"""

from course_lib.blip2_stage2 import QueryPrefix as Reference


class QueryPrefix(Reference):
    def forward(self, visual, visual_mask=None):
        return super().forward(visual, None if visual_mask is None else ~visual_mask)
