"""Misconception: A layer norm stands between the layers.

Tell: Your output is what a layer norm between the two layers gives. Later connectors have one, this one
has not: linear_1, GELU, linear_2.
Caught by: values_are_those_of_the_definition, the_activation_is_the_exact_gelu,
gradients_arrive_at_picture_and_weights
"""

import torch.nn.functional as F

from course_lib.projectors import MLPProjector as Reference


class MLPProjector(Reference):
    def forward(self, visual):
        hidden = F.gelu(self.linear_1(visual))
        return self.linear_2(F.layer_norm(hidden, hidden.shape[-1:]))
