"""Misconception: Stage 2 trains the projection alone.

Tell: Your queries and your Q-Former are frozen, and the projection alone trains. That is LLaVA's first
stage, not BLIP-2's second: here the whole Q-Former learns what this language model can use.
Caught by: all_of_it_learns, the_whole_of_it_trains
"""

from course_lib.blip2_stage2 import QueryPrefix as Reference


class QueryPrefix(Reference):
    def __init__(self, query_tokens, qformer, d_text):
        super().__init__(query_tokens, qformer, d_text)
        self.query_tokens.requires_grad_(False)
        self.qformer.requires_grad_(False)
