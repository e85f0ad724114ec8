"""Misconception: What one token may read, all may.

Tell: You merge the rows of the mask: what any token of the text may read, every token reads, so text
before a picture looks at pictures to come. That was last week's mask, one a row of the batch. Keep the
axis of the text.
Caught by: a_token_reads_as_if_the_rest_were_not_there, text_before_any_picture_gets_exactly_zero,
each_token_reads_what_its_own_row_keeps, a_token_that_keeps_nothing_gets_exactly_zero,
gradients_are_right_and_finite
"""

import torch
from einops import rearrange

from course_lib.gated_block import MaskedCrossAttention as Reference


class MaskedCrossAttention(Reference):
    def forward(self, text, visual, media_mask=None):
        if media_mask is not None:
            media_mask = media_mask.any(dim=1, keepdim=True).expand_as(media_mask)
        q = rearrange(self.q_proj(text), "b t (h e) -> b h t e", h=self.n_heads)
        k = rearrange(self.k_proj(visual), "b s (h e) -> b h s e", h=self.n_heads)
        values = rearrange(self.v_proj(visual), "b s (h e) -> b h s e", h=self.n_heads)
        scores = q @ k.mT * q.shape[-1] ** -0.5
        if media_mask is not None:
            scores = scores.masked_fill(~media_mask[:, None], torch.finfo(scores.dtype).min)
        read = scores.softmax(dim=-1) @ values
        out = self.o_proj(rearrange(read, "b h t e -> b t (h e)"))
        if media_mask is not None:
            out = out.masked_fill(~media_mask.any(dim=2)[..., None], 0.0)
        return out
