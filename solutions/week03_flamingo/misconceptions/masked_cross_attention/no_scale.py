"""Misconception: The scores are not scaled.

Tell: Your scores are not divided by the root of d_head. The wider a head, the larger its dot products,
and the softmax turns into a choice of one.
Caught by: values_are_those_of_the_definition, without_a_mask_every_token_reads_everything,
each_token_reads_what_its_own_row_keeps, a_token_that_keeps_nothing_gets_exactly_zero,
gradients_are_right_and_finite
"""

import torch
from einops import rearrange

from course_lib.gated_block import MaskedCrossAttention as Reference


class MaskedCrossAttention(Reference):
    def forward(self, text, visual, media_mask=None):
        q = rearrange(self.q_proj(text), "b t (h e) -> b h t e", h=self.n_heads)
        k = rearrange(self.k_proj(visual), "b s (h e) -> b h s e", h=self.n_heads)
        values = rearrange(self.v_proj(visual), "b s (h e) -> b h s e", h=self.n_heads)
        scores = q @ k.mT
        if media_mask is not None:
            scores = scores.masked_fill(~media_mask[:, None], torch.finfo(scores.dtype).min)
        read = scores.softmax(dim=-1) @ values
        out = self.o_proj(rearrange(read, "b h t e -> b t (h e)"))
        if media_mask is not None:
            out = out.masked_fill(~media_mask.any(dim=2)[..., None], 0.0)
        return out
