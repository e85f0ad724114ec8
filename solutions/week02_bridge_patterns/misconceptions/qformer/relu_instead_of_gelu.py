"""Misconception: The feed-forward has a ReLU.

Tell: Your feed-forward uses ReLU. BERT, and with it the Q-Former, uses GELU: nn.GELU() between the two
linear layers.
Caught by: values_are_those_of_the_definition, queries_are_learned_and_differ,
queries_hear_each_other_and_the_picture, a_picture_is_a_set_of_its_own, hidden_tokens_reach_no_query,
a_picture_that_keeps_nothing_adds_nothing
"""

from torch import nn

from course_lib.qformer import QFormerLayer
from course_lib.qformer import SimplifiedQFormer as Reference


class Layer(QFormerLayer):
    def __init__(self, d_visual, n_heads, d_model, looks):
        super().__init__(d_visual, n_heads, d_model, looks)
        self.feed_forward[1] = nn.ReLU()


class SimplifiedQFormer(Reference):
    def __init__(self, d_visual, d_text, n_queries, n_layers, n_heads, d_model):
        super().__init__(d_visual, d_text, n_queries, n_layers, n_heads, d_model)
        self.layers = nn.ModuleList(Layer(d_visual, n_heads, d_model, i % 2 == 0) for i in range(n_layers))
