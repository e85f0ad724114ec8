"""Misconception: The first layer keeps the picture's width, the second changes it.

Tell: Your hidden layer has the picture's width. LLaVA-1.5 goes to the text's width at once, d_visual to
d_text, and then d_text to d_text: which layer does the widening?
Caught by: something_between_the_layers_is_not_linear, values_are_those_of_the_definition,
gradients_arrive_at_picture_and_weights, the_number_of_parameters_is_right
"""

from torch import nn

from course_lib.projectors import MLPProjector as Reference


class MLPProjector(Reference):
    def __init__(self, d_visual, d_text):
        super().__init__(d_visual, d_text)
        self.linear_1 = nn.Linear(d_visual, d_visual)
        self.linear_2 = nn.Linear(d_visual, d_text)
