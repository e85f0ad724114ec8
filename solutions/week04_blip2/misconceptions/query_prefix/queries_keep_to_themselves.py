"""Misconception: Each query reads on its own.

Tell: Your queries do not see each other. They share one self-attention so that they can divide the
picture among themselves: all may see all, which is what None says.
Caught by: queries_read_and_are_projected, the_mask_arrives_at_the_qformer, nothing_to_drop_is_fine,
the_whole_of_it_trains
"""

import torch

from course_lib.blip2_stage2 import QueryPrefix as Reference


class QueryPrefix(Reference):
    def forward(self, visual, visual_mask=None):
        n = self.query_tokens.shape[1]
        queries = self.query_tokens.expand(len(visual), -1, -1)
        sees = torch.eye(n, dtype=torch.bool).expand(len(visual), n, n)
        return self.language_projection(self.qformer(queries, n, sees, visual, visual_mask))
