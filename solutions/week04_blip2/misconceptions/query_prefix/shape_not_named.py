"""Misconception: "wrong shape" is message enough.

Tell: You refuse queries of another shape and do not say which shape they have. Who reads the message
wants to know what was given.
Caught by: another_shape_of_queries_is_refused
"""

from course_lib.blip2_stage2 import QueryPrefix as Reference


class QueryPrefix(Reference):
    def __init__(self, query_tokens, qformer, d_text):
        if query_tokens.ndim != 3 or len(query_tokens) != 1:
            raise ValueError("query_tokens has the wrong shape.")
        super().__init__(query_tokens, qformer, d_text)
