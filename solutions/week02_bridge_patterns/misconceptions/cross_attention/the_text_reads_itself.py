"""Misconception: Keys and values come from the text.

Tell: Your keys and values are made from the text, so the words read each other and the picture never
enters. Queries ask and come from the text; what answers, keys and values, comes from the picture and has
its width.
Caught by: the_output_looks_like_the_text, copies_of_one_token_read_like_that_token,
values_are_those_of_the_definition, each_word_reads_the_whole_picture_and_no_other_word,
hidden_tokens_reach_nobody, a_row_that_sees_nothing_gets_exactly_zero, gradients_are_right_and_finite,
the_number_of_parameters_is_right
"""

from einops import einsum, rearrange
from torch import nn

from course_lib.cross_attention import CrossAttention as Reference


class CrossAttention(Reference):
    def __init__(self, d_text, d_visual, n_heads, d_head):
        super().__init__(d_text, d_visual, n_heads, d_head)
        self.k_proj = nn.Linear(d_text, n_heads * d_head, bias=False)
        self.v_proj = nn.Linear(d_text, n_heads * d_head, bias=False)

    def forward(self, text, visual, visual_mask=None):
        q = rearrange(self.q_proj(text), "b t (h e) -> b h t e", h=self.n_heads)
        k = rearrange(self.k_proj(text), "b v (h e) -> b h v e", h=self.n_heads)
        values = rearrange(self.v_proj(text), "b v (h e) -> b h v e", h=self.n_heads)
        scores = einsum(q, k, "b h t e, b h v e -> b h t v") * self.d_head**-0.5
        read = einsum(scores.softmax(dim=-1), values, "b h t v, b h v e -> b h t e")
        out = self.out_proj(rearrange(read, "b h t e -> b t (h e)"))
        if visual_mask is not None:
            out = out.masked_fill(~rearrange(visual_mask.any(dim=1), "b -> b 1 1"), 0.0)
        return out
