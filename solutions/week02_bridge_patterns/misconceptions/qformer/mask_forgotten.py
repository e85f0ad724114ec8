"""Misconception: The mask is taken and not used.

Tell: Your output does not change when tokens are hidden: visual_mask reaches no layer. Padding would be
read like a real part of the picture.
Caught by: hidden_tokens_are_not_read, hidden_tokens_reach_no_query,
a_picture_that_keeps_nothing_adds_nothing
"""

from torch import nn

from course_lib.qformer import QFormerLayer
from course_lib.qformer import SimplifiedQFormer as Reference


class Layer(QFormerLayer):
    def _look(self, queries, visual, visual_mask):
        read, _ = self.cross_attention(queries, visual, visual, need_weights=False)
        return read


class SimplifiedQFormer(Reference):
    def __init__(self, d_visual, d_text, n_queries, n_layers, n_heads, d_model):
        super().__init__(d_visual, d_text, n_queries, n_layers, n_heads, d_model)
        self.layers = nn.ModuleList(Layer(d_visual, n_heads, d_model, i % 2 == 0) for i in range(n_layers))
