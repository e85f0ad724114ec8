"""Misconception: Queries of any shape will do.

Tell: You take whatever shape the queries have. Two batches of queries, or none, are a mistake made
earlier; say so at once, with the shape.
Caught by: another_shape_of_queries_is_refused
"""

from course_lib.blip2_stage2 import QueryPrefix as Reference


class QueryPrefix(Reference):
    def __init__(self, query_tokens, qformer, d_text):
        super().__init__(query_tokens.reshape(1, -1, query_tokens.shape[-1]), qformer, d_text)
