"""Misconception: Every layer looks at the picture.

Tell: Your queries look at the picture in every layer. In BLIP-2 only every second layer does, starting
with layer 0: that is where a third of the weights would go.
Caught by: weights_go_in_by_name, values_are_those_of_the_definition, queries_are_learned_and_differ,
a_picture_is_a_set_of_its_own, hidden_tokens_reach_no_query, a_picture_that_keeps_nothing_adds_nothing
"""

from torch import nn

from course_lib.qformer import QFormerLayer
from course_lib.qformer import SimplifiedQFormer as Reference


class SimplifiedQFormer(Reference):
    def __init__(self, d_visual, d_text, n_queries, n_layers, n_heads, d_model):
        super().__init__(d_visual, d_text, n_queries, n_layers, n_heads, d_model)
        self.layers = nn.ModuleList(QFormerLayer(d_visual, n_heads, d_model, True) for i in range(n_layers))
