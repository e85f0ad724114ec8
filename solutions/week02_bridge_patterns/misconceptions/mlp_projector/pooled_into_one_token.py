"""Misconception: A picture becomes one token, the mean of its patches.

Tell: You hand on one token a picture, the mean of its patches. The projector keeps every token: the
language model is to find out by itself which of them matters.
Caught by: tokens_come_out_as_wide_as_the_text, something_between_the_layers_is_not_linear,
values_are_those_of_the_definition, the_activation_is_the_exact_gelu, tokens_do_not_hear_of_each_other,
gradients_arrive_at_picture_and_weights
"""

from course_lib.projectors import MLPProjector as Reference


class MLPProjector(Reference):
    def forward(self, visual):
        return super().forward(visual).mean(dim=1, keepdim=True)
