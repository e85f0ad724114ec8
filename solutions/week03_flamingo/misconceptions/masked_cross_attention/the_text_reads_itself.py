"""Misconception: Keys and values come from the text.

Tell: Your keys and values are made from the text, and no picture ever enters. The queries ask and come
from the text; what answers, keys and values, comes from the pictures and has their width.
Caught by: weights_go_in_by_name_and_text_comes_out, a_token_reads_as_if_the_rest_were_not_there,
text_before_any_picture_gets_exactly_zero, values_are_those_of_the_definition,
without_a_mask_every_token_reads_everything, each_token_reads_what_its_own_row_keeps,
a_token_that_keeps_nothing_gets_exactly_zero, gradients_are_right_and_finite,
what_comes_in_is_left_as_it_was, the_number_of_parameters_is_right
"""

from torch import nn

from course_lib.gated_block import MaskedCrossAttention as Reference


class MaskedCrossAttention(Reference):
    def __init__(self, d_text, d_visual, n_heads, d_head):
        super().__init__(d_text, d_visual, n_heads, d_head)
        self.k_proj = nn.Linear(d_text, n_heads * d_head, bias=False)
        self.v_proj = nn.Linear(d_text, n_heads * d_head, bias=False)

    def forward(self, text, visual, media_mask=None):
        return super().forward(text, text)
