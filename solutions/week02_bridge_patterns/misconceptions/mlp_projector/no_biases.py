"""Misconception: The layers are matrices and nothing else.

Tell: Your layers have no biases. LLaVA-1.5's have, 20,979,712 numbers in all at 1024 and 4096, not
20,971,520; nn.Linear adds them unless told otherwise.
Caught by: something_between_the_layers_is_not_linear, values_are_those_of_the_definition,
the_activation_is_the_exact_gelu, gradients_arrive_at_picture_and_weights,
the_number_of_parameters_is_right
"""

from torch import nn

from course_lib.projectors import MLPProjector as Reference


class MLPProjector(Reference):
    def __init__(self, d_visual, d_text):
        super().__init__(d_visual, d_text)
        self.linear_1 = nn.Linear(d_visual, d_text, bias=False)
        self.linear_2 = nn.Linear(d_text, d_text, bias=False)
