"""Misconception: What was read replaces the query.

Tell: In the look at the picture, what was read takes the query's place instead of being added to it, so
a query forgets what it was asking. Add first, then norm.
Caught by: values_are_those_of_the_definition, queries_are_learned_and_differ,
queries_hear_each_other_and_the_picture, a_picture_is_a_set_of_its_own, hidden_tokens_reach_no_query,
a_picture_that_keeps_nothing_adds_nothing
"""

from torch import nn

from course_lib.qformer import QFormerLayer
from course_lib.qformer import SimplifiedQFormer as Reference


class Layer(QFormerLayer):
    def forward(self, queries, visual, visual_mask):
        said, _ = self.self_attention(queries, queries, queries, need_weights=False)
        queries = self.self_norm(queries + said)
        if self.looks:
            queries = self.cross_norm(self._look(queries, visual, visual_mask))
        return self.feed_norm(queries + self.feed_forward(queries))


class SimplifiedQFormer(Reference):
    def __init__(self, d_visual, d_text, n_queries, n_layers, n_heads, d_model):
        super().__init__(d_visual, d_text, n_queries, n_layers, n_heads, d_model)
        self.layers = nn.ModuleList(Layer(d_visual, n_heads, d_model, i % 2 == 0) for i in range(n_layers))
