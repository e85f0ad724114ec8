"""Misconception: The queries are drawn with standard deviation 1.

Tell: Your queries come straight from torch.randn, fifty times larger than the 0.02 of the paper's code:
at the start they drown what they hear. Multiply by 0.02.
Caught by: queries_are_learned_and_differ
"""

import torch
from torch import nn

from course_lib.qformer import SimplifiedQFormer as Reference


class SimplifiedQFormer(Reference):
    def __init__(self, d_visual, d_text, n_queries, n_layers, n_heads, d_model):
        super().__init__(d_visual, d_text, n_queries, n_layers, n_heads, d_model)
        self.queries = nn.Parameter(torch.randn(n_queries, d_model))
