"""Misconception: Self-attention without batch_first.

Tell: Your self-attention runs across the batch: without batch_first=True, torch takes the first axis for
the sequence, so the third query of one picture hears the third query of all others.
Caught by: hidden_tokens_are_not_read, values_are_those_of_the_definition,
queries_are_learned_and_differ, queries_hear_each_other_and_the_picture, a_picture_is_a_set_of_its_own,
hidden_tokens_reach_no_query, a_picture_that_keeps_nothing_adds_nothing
"""

from torch import nn

from course_lib.qformer import QFormerLayer
from course_lib.qformer import SimplifiedQFormer as Reference


class Layer(QFormerLayer):
    def __init__(self, d_visual, n_heads, d_model, looks):
        super().__init__(d_visual, n_heads, d_model, looks)
        self.self_attention = nn.MultiheadAttention(d_model, n_heads)


class SimplifiedQFormer(Reference):
    def __init__(self, d_visual, d_text, n_queries, n_layers, n_heads, d_model):
        super().__init__(d_visual, d_text, n_queries, n_layers, n_heads, d_model)
        self.layers = nn.ModuleList(Layer(d_visual, n_heads, d_model, i % 2 == 0) for i in range(n_layers))
