"""Misconception: The queries start at zero.

Tell: Your queries start as zeros, so they are all alike: each reads the same, gets the same gradient and
stays the same as its neighbours. You would pay for many tokens and get one. Draw them at random, with
standard deviation 0.02.
Caught by: queries_are_learned_and_differ
"""

import torch
from torch import nn

from course_lib.qformer import SimplifiedQFormer as Reference


class SimplifiedQFormer(Reference):
    def __init__(self, d_visual, d_text, n_queries, n_layers, n_heads, d_model):
        super().__init__(d_visual, d_text, n_queries, n_layers, n_heads, d_model)
        self.queries = nn.Parameter(torch.zeros(n_queries, d_model))
