"""Misconception: Every query hands on the mean of all.

Tell: All words of your prefix are one and the same. Each query has read something of its own; hand on
each.
Caught by: queries_read_and_are_projected, the_mask_arrives_at_the_qformer, nothing_to_drop_is_fine,
the_whole_of_it_trains
"""

from course_lib.blip2_stage2 import QueryPrefix as Reference


class QueryPrefix(Reference):
    def forward(self, visual, visual_mask=None):
        words = super().forward(visual, visual_mask)
        return words.mean(dim=1, keepdim=True).expand_as(words).contiguous()
