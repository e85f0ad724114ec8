"""Misconception: GELU is the formula with tanh.

Tell: Your activation is the tanh approximation of GELU. It differs by at most 0.0005, but weights that
were trained with the exact one then give other outputs. F.gelu(x) and nn.GELU() are exact unless told
otherwise.
Caught by: values_are_those_of_the_definition, the_activation_is_the_exact_gelu,
gradients_arrive_at_picture_and_weights
"""

import torch.nn.functional as F

from course_lib.projectors import MLPProjector as Reference


class MLPProjector(Reference):
    def forward(self, visual):
        return self.linear_2(F.gelu(self.linear_1(visual), approximate="tanh"))
