"""Misconception: The queries are added to what was read.

Tell: You add the queries to what the Q-Former returns. Each layer has done so inside already; what comes
out goes straight into the projection.
Caught by: queries_read_and_are_projected, the_mask_arrives_at_the_qformer, nothing_to_drop_is_fine,
the_whole_of_it_trains
"""

from course_lib.blip2_stage2 import QueryPrefix as Reference


class QueryPrefix(Reference):
    def forward(self, visual, visual_mask=None):
        queries = self.query_tokens.expand(len(visual), -1, -1)
        read = self.qformer(queries, queries.shape[1], None, visual, visual_mask)
        return self.language_projection(read + queries)
