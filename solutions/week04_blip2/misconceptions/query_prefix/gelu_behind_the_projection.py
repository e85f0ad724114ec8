"""Misconception: An activation stands behind the projection.

Tell: You pass the words through a GELU, so that hardly anything in them is negative. A linear map is the
whole of it: LLaVA's second layer and its GELU are another bridge.
Caught by: queries_read_and_are_projected, the_mask_arrives_at_the_qformer, nothing_to_drop_is_fine,
the_whole_of_it_trains
"""

import torch.nn.functional as F

from course_lib.blip2_stage2 import QueryPrefix as Reference


class QueryPrefix(Reference):
    def forward(self, visual, visual_mask=None):
        return F.gelu(super().forward(visual, visual_mask))
