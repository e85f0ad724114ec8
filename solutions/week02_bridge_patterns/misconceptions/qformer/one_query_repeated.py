"""Misconception: One query is drawn and copied.

Tell: You draw one query and repeat it, so all of them start alike and, with equal gradients, stay alike.
Draw n_queries different ones.
Caught by: queries_are_learned_and_differ
"""

import torch
from torch import nn

from course_lib.qformer import SimplifiedQFormer as Reference


class SimplifiedQFormer(Reference):
    def __init__(self, d_visual, d_text, n_queries, n_layers, n_heads, d_model):
        super().__init__(d_visual, d_text, n_queries, n_layers, n_heads, d_model)
        self.queries = nn.Parameter(0.02 * torch.randn(1, d_model).repeat(n_queries, 1))
