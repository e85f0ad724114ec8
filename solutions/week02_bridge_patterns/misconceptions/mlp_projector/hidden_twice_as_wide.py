"""Misconception: The hidden layer is twice as wide as the text.

Tell: Your hidden layer is twice as wide as the text. At 1024 and 4096 that gives 41,955,328 parameters,
close to the "42M" of popular texts. LLaVA-1.5's hidden layer is d_text wide, and has 20,979,712.
Caught by: something_between_the_layers_is_not_linear, values_are_those_of_the_definition,
the_activation_is_the_exact_gelu, gradients_arrive_at_picture_and_weights,
the_number_of_parameters_is_right
"""

from torch import nn

from course_lib.projectors import MLPProjector as Reference


class MLPProjector(Reference):
    def __init__(self, d_visual, d_text):
        super().__init__(d_visual, d_text)
        self.linear_1 = nn.Linear(d_visual, 2 * d_text)
        self.linear_2 = nn.Linear(2 * d_text, d_text)
