"""Misconception: A token that may look at nothing looks at everything.

Tell: A token that keeps nothing reads the plain mean of all that it must not see: scores that are all
equally low still give equal weights. Real models shipped with this leak. Say at the end that such a token
has read nothing.
Caught by: text_before_any_picture_gets_exactly_zero, a_token_that_keeps_nothing_gets_exactly_zero,
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
        scores = q @ k.mT * q.shape[-1] ** -0.5
        if media_mask is not None:
            scores = scores.masked_fill(~media_mask[:, None], torch.finfo(scores.dtype).min)
        read = scores.softmax(dim=-1) @ values
        out = self.o_proj(rearrange(read, "b h t e -> b t (h e)"))
        return out
