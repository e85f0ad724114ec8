"""Misconception: The mean over the picture's tokens is taken away first.

Tell: You take the mean over a picture's tokens away before projecting. Every token then hears of every
other, and what all patches have in common is lost.
Caught by: values_are_those_of_the_definition, the_activation_is_the_exact_gelu,
tokens_do_not_hear_of_each_other, gradients_arrive_at_picture_and_weights
"""

from course_lib.projectors import MLPProjector as Reference


class MLPProjector(Reference):
    def forward(self, visual):
        return super().forward(visual - visual.mean(dim=1, keepdim=True))
