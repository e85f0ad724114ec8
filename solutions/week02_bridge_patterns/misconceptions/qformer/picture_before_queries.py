"""Misconception: The queries read the picture before they hear each other.

Tell: Your layers look at the picture first and let the queries hear each other afterwards. In BLIP-2 it
is the other way round: self-attention, picture, feed-forward.
Caught by: values_are_those_of_the_definition, queries_are_learned_and_differ,
queries_hear_each_other_and_the_picture, a_picture_is_a_set_of_its_own, hidden_tokens_reach_no_query,
a_picture_that_keeps_nothing_adds_nothing
"""

from torch import nn

from course_lib.qformer import QFormerLayer
from course_lib.qformer import SimplifiedQFormer as Reference


class Layer(QFormerLayer):
    def forward(self, queries, visual, visual_mask):
        if self.looks:
            queries = self.cross_norm(queries + self._look(queries, visual, visual_mask))
        said, _ = self.self_attention(queries, queries, queries, need_weights=False)
        queries = self.self_norm(queries + said)
        return self.feed_norm(queries + self.feed_forward(queries))


class SimplifiedQFormer(Reference):
    def __init__(self, d_visual, d_text, n_queries, n_layers, n_heads, d_model):
        super().__init__(d_visual, d_text, n_queries, n_layers, n_heads, d_model)
        self.layers = nn.ModuleList(Layer(d_visual, n_heads, d_model, i % 2 == 0) for i in range(n_layers))
