"""Misconception: The queries are a tensor that no optimiser sees.

Tell: Your queries are a buffer, so no optimiser will ever see them, and parameters() does not list them.
Wrap the copy in nn.Parameter.
Caught by: all_of_it_learns, only_the_text_side_is_dropped, the_whole_of_it_trains
"""

from course_lib.blip2_stage2 import QueryPrefix as Reference


class QueryPrefix(Reference):
    def __init__(self, query_tokens, qformer, d_text):
        super().__init__(query_tokens, qformer, d_text)
        del self.query_tokens
        self.register_buffer("query_tokens", query_tokens.detach().clone())
