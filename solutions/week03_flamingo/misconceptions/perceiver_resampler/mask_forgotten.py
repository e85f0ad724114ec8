"""Misconception: The mask need not reach the attention.

Tell: Your resampler reads padding like picture: the mask is taken and not used.
Caught by: hidden_visual_tokens_are_not_read, hidden_tokens_reach_no_latent,
a_picture_of_padding_stays_finite
"""

from einops import repeat

from course_lib.resampler import PerceiverResampler as Reference


class PerceiverResampler(Reference):
    def forward(self, visual, visual_mask=None, frame=None):
        if frame is not None:
            visual = visual + self.time_embeddings[frame]
        latents = repeat(self.latents, "q d -> b q d", b=len(visual))
        for attention, feed_forward in self.blocks:
            latents = latents + attention(visual, latents)
            latents = latents + feed_forward(latents)
        return self.layer_norm(latents)
