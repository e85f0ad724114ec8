"""Misconception: The mask is multiplied onto the finished weights.

Tell: You set the weights of hidden tokens to zero after the softmax, so what is left no longer sums to 1
and the reading fades as more is hidden. If the scores are masked before, the softmax shares out the
whole weight by itself.
Caught by: hidden_tokens_and_empty_rows, hidden_tokens_reach_nobody,
a_row_that_sees_nothing_gets_exactly_zero, gradients_are_right_and_finite
"""

from einops import einsum, rearrange

from course_lib.cross_attention import CrossAttention as Reference


class CrossAttention(Reference):
    def forward(self, text, visual, visual_mask=None):
        q = rearrange(self.q_proj(text), "b t (h e) -> b h t e", h=self.n_heads)
        k = rearrange(self.k_proj(visual), "b v (h e) -> b h v e", h=self.n_heads)
        values = rearrange(self.v_proj(visual), "b v (h e) -> b h v e", h=self.n_heads)
        scores = einsum(q, k, "b h t e, b h v e -> b h t v") * self.d_head**-0.5
        weights = scores.softmax(dim=-1)
        if visual_mask is not None:
            weights = weights * rearrange(visual_mask, "b v -> b 1 1 v")
        read = einsum(weights, values, "b h t v, b h v e -> b h t e")
        out = self.out_proj(rearrange(read, "b h t e -> b t (h e)"))
        if visual_mask is not None:
            out = out.masked_fill(~rearrange(visual_mask.any(dim=1), "b -> b 1 1"), 0.0)
        return out
