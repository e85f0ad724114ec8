"""Misconception: The heads are flattened without being put side by side.

Tell: You reshape b h t e straight to b t (h e), without moving the heads behind the tokens first, so that
numbers of different tokens are mixed. Transpose before the reshape, or let rearrange do both.
Caught by: a_token_reads_as_if_the_rest_were_not_there, values_are_those_of_the_definition,
without_a_mask_every_token_reads_everything, each_token_reads_what_its_own_row_keeps,
a_token_that_keeps_nothing_gets_exactly_zero, gradients_are_right_and_finite
"""

import torch
from einops import rearrange

from course_lib.gated_block import MaskedCrossAttention as Reference


class MaskedCrossAttention(Reference):
    def forward(self, text, visual, media_mask=None):
        q = rearrange(self.q_proj(text), "b t (h e) -> b h t e", h=self.n_heads)
        k = rearrange(self.k_proj(visual), "b s (h e) -> b h s e", h=self.n_heads)
        values = rearrange(self.v_proj(visual), "b s (h e) -> b h s e", h=self.n_heads)
        scores = q @ k.mT * q.shape[-1] ** -0.5
        if media_mask is not None:
            scores = scores.masked_fill(~media_mask[:, None], torch.finfo(scores.dtype).min)
        read = scores.softmax(dim=-1) @ values
        out = self.o_proj(read.reshape(*text.shape[:2], -1))
        if media_mask is not None:
            out = out.masked_fill(~media_mask.any(dim=2)[..., None], 0.0)
        return out
