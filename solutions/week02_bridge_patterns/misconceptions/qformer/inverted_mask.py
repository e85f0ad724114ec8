"""Misconception: key_padding_mask is taken for True = keep.

Tell: Your queries read exactly the tokens that should be hidden. torch's nn.MultiheadAttention is the
odd one out: in its key_padding_mask True means IGNORE, while our visual_mask says True = keep. Turn it
round.
Caught by: hidden_tokens_are_not_read, hidden_tokens_reach_no_query,
a_picture_that_keeps_nothing_adds_nothing
"""

from torch import nn

from course_lib.qformer import QFormerLayer
from course_lib.qformer import SimplifiedQFormer as Reference


class Layer(QFormerLayer):
    def _look(self, queries, visual, visual_mask):
        return self.cross_attention(queries, visual, visual, key_padding_mask=visual_mask)[0]


class SimplifiedQFormer(Reference):
    def __init__(self, d_visual, d_text, n_queries, n_layers, n_heads, d_model):
        super().__init__(d_visual, d_text, n_queries, n_layers, n_heads, d_model)
        self.layers = nn.ModuleList(Layer(d_visual, n_heads, d_model, i % 2 == 0) for i in range(n_layers))

    def forward(self, visual, visual_mask=None):
        queries = self.queries.expand(len(visual), -1, -1)
        for layer in self.layers:
            queries = layer(queries, visual, visual_mask)
        return self.to_text(queries)
