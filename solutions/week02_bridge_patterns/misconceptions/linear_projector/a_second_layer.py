"""Misconception: The LLaVA-style linear projection has two layers.

Tell: Your projector has a second layer. Popular texts call LLaVA's projection linear and show two
layers: the first LLaVA has one, LLaVA-1.5 has two with a GELU between them, which is the next exercise.
Caught by: a_token_of_zeros_becomes_the_bias, values_are_those_of_the_definition,
gradients_arrive_at_picture_and_weights, the_number_of_parameters_is_right
"""

import torch.nn.functional as F
from torch import nn

from course_lib.projectors import LinearProjector as Reference


class LinearProjector(Reference):
    def __init__(self, d_visual, d_text):
        super().__init__(d_visual, d_text)
        self.linear_2 = nn.Linear(d_text, d_text)

    def forward(self, visual):
        return self.linear_2(F.gelu(super().forward(visual)))
