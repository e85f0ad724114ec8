"""Misconception: The mask is used for the zeros only.

Tell: Your tokens without a picture are zero, but all the others read every picture of the row, whatever
media_mask says. The scores have to know of the mask, too.
Caught by: a_token_reads_as_if_the_rest_were_not_there, each_token_reads_what_its_own_row_keeps,
a_token_that_keeps_nothing_gets_exactly_zero, gradients_are_right_and_finite
"""

from einops import rearrange

from course_lib.gated_block import MaskedCrossAttention as Reference


class MaskedCrossAttention(Reference):
    def forward(self, text, visual, media_mask=None):
        q = rearrange(self.q_proj(text), "b t (h e) -> b h t e", h=self.n_heads)
        k = rearrange(self.k_proj(visual), "b s (h e) -> b h s e", h=self.n_heads)
        values = rearrange(self.v_proj(visual), "b s (h e) -> b h s e", h=self.n_heads)
        scores = q @ k.mT * q.shape[-1] ** -0.5
        read = scores.softmax(dim=-1) @ values
        out = self.o_proj(rearrange(read, "b h t e -> b t (h e)"))
        if media_mask is not None:
            out = out.masked_fill(~media_mask.any(dim=2)[..., None], 0.0)
        return out
