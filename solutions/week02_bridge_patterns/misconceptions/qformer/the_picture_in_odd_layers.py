"""Misconception: Layers 1, 3, 5 look at the picture.

Tell: Your queries look at the picture in layers 1, 3, 5. Counting starts at 0 and so does looking: with
a single layer, yours would never see anything.
Caught by: weights_go_in_by_name, values_are_those_of_the_definition, queries_are_learned_and_differ,
queries_hear_each_other_and_the_picture, a_picture_is_a_set_of_its_own, hidden_tokens_reach_no_query,
a_picture_that_keeps_nothing_adds_nothing
"""

from torch import nn

from course_lib.qformer import QFormerLayer
from course_lib.qformer import SimplifiedQFormer as Reference


class SimplifiedQFormer(Reference):
    def __init__(self, d_visual, d_text, n_queries, n_layers, n_heads, d_model):
        super().__init__(d_visual, d_text, n_queries, n_layers, n_heads, d_model)
        self.layers = nn.ModuleList(
            QFormerLayer(d_visual, n_heads, d_model, i % 2 == 1) for i in range(n_layers)
        )
