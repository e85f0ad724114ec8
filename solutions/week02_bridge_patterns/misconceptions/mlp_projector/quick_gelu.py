"""Misconception: GELU is x * sigmoid(1.702 x), as inside CLIP.

Tell: Your activation is x * sigmoid(1.702 x), the quick GELU of CLIP's own layers. It is off by up to
0.02. The projector uses the exact GELU, F.gelu(x).
Caught by: values_are_those_of_the_definition, the_activation_is_the_exact_gelu,
gradients_arrive_at_picture_and_weights
"""

from course_lib.projectors import MLPProjector as Reference


class MLPProjector(Reference):
    def forward(self, visual):
        hidden = self.linear_1(visual)
        return self.linear_2(hidden * (1.702 * hidden).sigmoid())
