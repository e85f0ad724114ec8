"""Misconception: The Q-Former is done after stage 1; the queries and the projection are enough.

Tell: Your queries and your projection train, and the layers between them are frozen. Stage 1 was a
start: the layers go on learning in stage 2, with the language model's own loss.
Caught by: all_of_it_learns, the_whole_of_it_trains
"""

from course_lib.blip2_stage2 import QueryPrefix as Reference


class QueryPrefix(Reference):
    def __init__(self, query_tokens, qformer, d_text):
        super().__init__(query_tokens, qformer, d_text)
        self.qformer.requires_grad_(False)
