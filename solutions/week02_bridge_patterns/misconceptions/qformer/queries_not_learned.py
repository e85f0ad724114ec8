"""Misconception: The queries are a fixed tensor.

Tell: Your queries are a buffer or a plain tensor: random questions that nobody ever improves. They are
the heart of this bridge; wrap them in nn.Parameter.
Caught by: queries_are_learned_and_differ
"""

import torch

from course_lib.qformer import SimplifiedQFormer as Reference


class SimplifiedQFormer(Reference):
    def __init__(self, d_visual, d_text, n_queries, n_layers, n_heads, d_model):
        super().__init__(d_visual, d_text, n_queries, n_layers, n_heads, d_model)
        del self.queries
        self.register_buffer("queries", 0.02 * torch.randn(n_queries, d_model))
