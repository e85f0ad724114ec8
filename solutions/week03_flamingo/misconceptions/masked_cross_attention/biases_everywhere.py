"""Misconception: All four projections have a bias.

Tell: All four of your projections have a bias, which nn.Linear adds unless it is told bias=False. A
checkpoint without them cannot be loaded, and the number of parameters is off.
Caught by: weights_go_in_by_name_and_text_comes_out, values_are_those_of_the_definition,
without_a_mask_every_token_reads_everything, each_token_reads_what_its_own_row_keeps,
a_token_that_keeps_nothing_gets_exactly_zero, gradients_are_right_and_finite,
what_comes_in_is_left_as_it_was, the_number_of_parameters_is_right
"""

from torch import nn

from course_lib.gated_block import MaskedCrossAttention as Reference


class MaskedCrossAttention(Reference):
    def __init__(self, d_text, d_visual, n_heads, d_head):
        super().__init__(d_text, d_visual, n_heads, d_head)
        self.q_proj = nn.Linear(d_text, n_heads * d_head)
        self.k_proj = nn.Linear(d_visual, n_heads * d_head)
        self.v_proj = nn.Linear(d_visual, n_heads * d_head)
        self.o_proj = nn.Linear(n_heads * d_head, d_text)
