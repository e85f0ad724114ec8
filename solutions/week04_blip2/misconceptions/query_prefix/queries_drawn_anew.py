"""Misconception: Stage 2 starts with fresh queries.

Tell: Your queries are drawn anew. What they learned to ask for in stage 1 is lost; copy the ones you are
given.
Caught by: it_starts_where_stage_1_ended
"""

import torch
from torch import nn

from course_lib.blip2_stage2 import QueryPrefix as Reference


class QueryPrefix(Reference):
    def __init__(self, query_tokens, qformer, d_text):
        super().__init__(query_tokens, qformer, d_text)
        self.query_tokens = nn.Parameter(0.02 * torch.randn_like(query_tokens))
