"""Misconception: Stage 2 has a Q-Former of the same shape, trained from scratch.

Tell: Your Q-Former has the right shape and fresh weights, so stage 1 was for nothing. Copy its weights
along.
Caught by: it_starts_where_stage_1_ended
"""

from torch import nn

from course_lib.blip2_stage2 import QueryPrefix as Reference


class QueryPrefix(Reference):
    def __init__(self, query_tokens, qformer, d_text):
        super().__init__(query_tokens, qformer, d_text)
        for weight in self.qformer.parameters():
            nn.init.normal_(weight, std=0.02)
