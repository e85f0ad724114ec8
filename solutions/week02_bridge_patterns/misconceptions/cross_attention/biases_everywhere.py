"""Misconception: All four projections have a bias.

Tell: Your q, k and v projections have biases, which nn.Linear adds unless it is told bias=False. A
checkpoint without them cannot be loaded, and the number of parameters is off.
Caught by: the_output_looks_like_the_text, values_are_those_of_the_definition,
each_word_reads_the_whole_picture_and_no_other_word, hidden_tokens_reach_nobody,
a_row_that_sees_nothing_gets_exactly_zero, gradients_are_right_and_finite,
the_number_of_parameters_is_right
"""

from torch import nn

from course_lib.cross_attention import CrossAttention as Reference


class CrossAttention(Reference):
    def __init__(self, d_text, d_visual, n_heads, d_head):
        super().__init__(d_text, d_visual, n_heads, d_head)
        self.q_proj = nn.Linear(d_text, n_heads * d_head)
        self.k_proj = nn.Linear(d_visual, n_heads * d_head)
        self.v_proj = nn.Linear(d_visual, n_heads * d_head)
