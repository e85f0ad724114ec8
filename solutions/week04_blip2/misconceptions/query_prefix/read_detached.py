"""Misconception: What the Q-Former read is detached before the projection.

Tell: You detach what the Q-Former read, so the gradient ends at the projection and nothing before it
learns, whatever requires_grad says. Frozen parts are on either side of the prefix, not inside it.
Caught by: all_of_it_learns, the_whole_of_it_trains
"""

from course_lib.blip2_stage2 import QueryPrefix as Reference


class QueryPrefix(Reference):
    def forward(self, visual, visual_mask=None):
        queries = self.query_tokens.expand(len(visual), -1, -1)
        read = self.qformer(queries, queries.shape[1], None, visual, visual_mask)
        return self.language_projection(read.detach())
