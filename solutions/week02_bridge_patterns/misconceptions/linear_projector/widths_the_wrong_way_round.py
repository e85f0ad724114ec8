"""Misconception: The layer goes from the text's width to the picture's.

Tell: Your layer goes from d_text to d_visual. The picture comes in and the language model reads what
comes out: which width is which?
Caught by: projected_tokens_have_the_width_of_the_text, a_token_of_zeros_becomes_the_bias,
values_are_those_of_the_definition, tokens_do_not_hear_of_each_other,
gradients_arrive_at_picture_and_weights, the_number_of_parameters_is_right
"""

from course_lib.projectors import LinearProjector as Reference


class LinearProjector(Reference):
    def __init__(self, d_visual, d_text):
        super().__init__(d_text, d_visual)
