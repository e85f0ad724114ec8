"""Misconception: The projection is a matrix and nothing else.

Tell: Your layer has no bias. The paper writes the projection as a bare product, and some texts count
4,194,304 parameters from it; LLaVA's layer is an nn.Linear with its bias, 4,198,400.
Caught by: a_token_of_zeros_becomes_the_bias, values_are_those_of_the_definition,
gradients_arrive_at_picture_and_weights, the_number_of_parameters_is_right
"""

from torch import nn

from course_lib.projectors import LinearProjector as Reference


class LinearProjector(Reference):
    def __init__(self, d_visual, d_text):
        super().__init__(d_visual, d_text)
        self.linear = nn.Linear(d_visual, d_text, bias=False)
