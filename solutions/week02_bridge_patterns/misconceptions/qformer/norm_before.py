"""Misconception: Each step norms what comes in, not the sum.

Tell: You norm before each step, as most newer transformers do. This one comes from BERT, which adds
first and norms the sum. Both train; only one loads the weights.
Caught by: values_are_those_of_the_definition, queries_are_learned_and_differ,
queries_hear_each_other_and_the_picture, a_picture_is_a_set_of_its_own, hidden_tokens_reach_no_query,
a_picture_that_keeps_nothing_adds_nothing
"""

from torch import nn

from course_lib.qformer import QFormerLayer
from course_lib.qformer import SimplifiedQFormer as Reference


class Layer(QFormerLayer):
    def forward(self, queries, visual, visual_mask):
        normed = self.self_norm(queries)
        queries = queries + self.self_attention(normed, normed, normed, need_weights=False)[0]
        if self.looks:
            queries = queries + self._look(self.cross_norm(queries), visual, visual_mask)
        return queries + self.feed_forward(self.feed_norm(queries))


class SimplifiedQFormer(Reference):
    def __init__(self, d_visual, d_text, n_queries, n_layers, n_heads, d_model):
        super().__init__(d_visual, d_text, n_queries, n_layers, n_heads, d_model)
        self.layers = nn.ModuleList(Layer(d_visual, n_heads, d_model, i % 2 == 0) for i in range(n_layers))
