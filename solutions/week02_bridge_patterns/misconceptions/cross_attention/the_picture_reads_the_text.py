"""Misconception: The two streams have swapped their parts.

Tell: In your version the picture asks and the text answers, so the output has one row for each visual
token. In this bridge the words ask: queries from the text, keys and values from the picture.
Caught by: the_output_looks_like_the_text, copies_of_one_token_read_like_that_token,
hidden_tokens_and_empty_rows, values_are_those_of_the_definition,
each_word_reads_the_whole_picture_and_no_other_word, hidden_tokens_reach_nobody,
a_row_that_sees_nothing_gets_exactly_zero, gradients_are_right_and_finite,
the_number_of_parameters_is_right
"""

from einops import einsum, rearrange
from torch import nn

from course_lib.cross_attention import CrossAttention as Reference


class CrossAttention(Reference):
    def __init__(self, d_text, d_visual, n_heads, d_head):
        super().__init__(d_text, d_visual, n_heads, d_head)
        self.q_proj = nn.Linear(d_visual, n_heads * d_head, bias=False)
        self.k_proj = nn.Linear(d_text, n_heads * d_head, bias=False)
        self.v_proj = nn.Linear(d_text, n_heads * d_head, bias=False)

    def forward(self, text, visual, visual_mask=None):
        q = rearrange(self.q_proj(visual), "b v (h e) -> b h v e", h=self.n_heads)
        k = rearrange(self.k_proj(text), "b t (h e) -> b h t e", h=self.n_heads)
        values = rearrange(self.v_proj(text), "b t (h e) -> b h t e", h=self.n_heads)
        scores = einsum(q, k, "b h v e, b h t e -> b h v t") * self.d_head**-0.5
        read = einsum(scores.softmax(dim=-1), values, "b h v t, b h t e -> b h v e")
        out = self.out_proj(rearrange(read, "b h v e -> b v (h e)"))
        return out if visual_mask is None else out * visual_mask[..., None]
