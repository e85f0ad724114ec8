"""Misconception: A query hears no other query.

Tell: Your queries do not hear each other: each attends to itself alone. The self-attention is how they
share out the picture, so that two of them need not report the same thing.
Caught by: values_are_those_of_the_definition, queries_are_learned_and_differ,
queries_hear_each_other_and_the_picture, a_picture_is_a_set_of_its_own, hidden_tokens_reach_no_query,
a_picture_that_keeps_nothing_adds_nothing
"""

import torch
from torch import nn

from course_lib.qformer import QFormerLayer
from course_lib.qformer import SimplifiedQFormer as Reference


class Layer(QFormerLayer):
    def forward(self, queries, visual, visual_mask):
        others = ~torch.eye(queries.shape[1], dtype=torch.bool)
        said, _ = self.self_attention(queries, queries, queries, attn_mask=others, need_weights=False)
        queries = self.self_norm(queries + said)
        if self.looks:
            queries = self.cross_norm(queries + self._look(queries, visual, visual_mask))
        return self.feed_norm(queries + self.feed_forward(queries))


class SimplifiedQFormer(Reference):
    def __init__(self, d_visual, d_text, n_queries, n_layers, n_heads, d_model):
        super().__init__(d_visual, d_text, n_queries, n_layers, n_heads, d_model)
        self.layers = nn.ModuleList(Layer(d_visual, n_heads, d_model, i % 2 == 0) for i in range(n_layers))
