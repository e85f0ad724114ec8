"""Misconception: A picture that keeps nothing adds the bias of the output projection.

Tell: Where a picture keeps nothing, your queries still get something: the bias of the attention's output
projection. With need_weights=False torch reads zeros there instead of NaN, and then projects them. Set
what was read to zero after the projection.
Caught by: a_picture_that_keeps_nothing_adds_nothing
"""

from torch import nn

from course_lib.qformer import QFormerLayer
from course_lib.qformer import SimplifiedQFormer as Reference


class Layer(QFormerLayer):
    def _look(self, queries, visual, visual_mask):
        read, _ = self.cross_attention(
            queries, visual, visual, key_padding_mask=~visual_mask, need_weights=False
        )
        return read


class SimplifiedQFormer(Reference):
    def __init__(self, d_visual, d_text, n_queries, n_layers, n_heads, d_model):
        super().__init__(d_visual, d_text, n_queries, n_layers, n_heads, d_model)
        self.layers = nn.ModuleList(Layer(d_visual, n_heads, d_model, i % 2 == 0) for i in range(n_layers))
