"""Misconception: The queries are kept as they came out of stage 1.

Tell: Your queries do not train: their requires_grad is off. They are parameters like all others, and
stage 2 goes on training them.
Caught by: all_of_it_learns, the_whole_of_it_trains
"""

from course_lib.blip2_stage2 import QueryPrefix as Reference


class QueryPrefix(Reference):
    def __init__(self, query_tokens, qformer, d_text):
        super().__init__(query_tokens, qformer, d_text)
        self.query_tokens.requires_grad_(False)
