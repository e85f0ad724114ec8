"""Misconception: The scores are not scaled.

Tell: Your output is that of attention without a scale. A dot product over d_head numbers grows like the
square root of d_head; without dividing by it the softmax becomes nearly one-hot and passes hardly any
gradient.
Caught by: values_are_those_of_the_definition, each_word_reads_the_whole_picture_and_no_other_word,
hidden_tokens_reach_nobody, a_row_that_sees_nothing_gets_exactly_zero, gradients_are_right_and_finite
"""

import torch
from einops import einsum, rearrange

from course_lib.cross_attention import CrossAttention as Reference


class CrossAttention(Reference):
    def forward(self, text, visual, visual_mask=None):
        q = rearrange(self.q_proj(text), "b t (h e) -> b h t e", h=self.n_heads)
        k = rearrange(self.k_proj(visual), "b v (h e) -> b h v e", h=self.n_heads)
        values = rearrange(self.v_proj(visual), "b v (h e) -> b h v e", h=self.n_heads)
        scores = einsum(q, k, "b h t e, b h v e -> b h t v")
        if visual_mask is not None:
            hidden = ~rearrange(visual_mask, "b v -> b 1 1 v")
            scores = scores.masked_fill(hidden, torch.finfo(scores.dtype).min)
        read = einsum(scores.softmax(dim=-1), values, "b h t v, b h v e -> b h t e")
        out = self.out_proj(rearrange(read, "b h t e -> b t (h e)"))
        if visual_mask is not None:
            out = out.masked_fill(~rearrange(visual_mask.any(dim=1), "b -> b 1 1"), 0.0)
        return out
