"""Misconception: SiLU is another name of GELU.

Tell: Your activation is SiLU, x * sigmoid(x), which the language model uses in its own layers. The
projector uses GELU, F.gelu(x).
Caught by: values_are_those_of_the_definition, the_activation_is_the_exact_gelu,
gradients_arrive_at_picture_and_weights
"""

import torch.nn.functional as F

from course_lib.projectors import MLPProjector as Reference


class MLPProjector(Reference):
    def forward(self, visual):
        return self.linear_2(F.silu(self.linear_1(visual)))
