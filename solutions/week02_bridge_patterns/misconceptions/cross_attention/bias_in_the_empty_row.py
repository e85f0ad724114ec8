"""Misconception: The empty row is set to zero before the output projection.

Tell: Where a picture keeps nothing, your output is the bias of out_proj, the same vector for every word.
What was read is zero there, but the projection comes afterwards and adds its bias: which of the two
should be zero?
Caught by: hidden_tokens_and_empty_rows, a_row_that_sees_nothing_gets_exactly_zero,
gradients_are_right_and_finite
"""

import torch
from einops import einsum, rearrange

from course_lib.cross_attention import CrossAttention as Reference


class CrossAttention(Reference):
    def forward(self, text, visual, visual_mask=None):
        q = rearrange(self.q_proj(text), "b t (h e) -> b h t e", h=self.n_heads)
        k = rearrange(self.k_proj(visual), "b v (h e) -> b h v e", h=self.n_heads)
        values = rearrange(self.v_proj(visual), "b v (h e) -> b h v e", h=self.n_heads)
        scores = einsum(q, k, "b h t e, b h v e -> b h t v") * self.d_head**-0.5
        if visual_mask is not None:
            hidden = ~rearrange(visual_mask, "b v -> b 1 1 v")
            scores = scores.masked_fill(hidden, torch.finfo(scores.dtype).min)
        read = einsum(scores.softmax(dim=-1), values, "b h t v, b h v e -> b h t e")
        if visual_mask is not None:
            read = read.masked_fill(~rearrange(visual_mask.any(dim=1), "b -> b 1 1 1"), 0.0)
        return self.out_proj(rearrange(read, "b h t e -> b t (h e)"))
