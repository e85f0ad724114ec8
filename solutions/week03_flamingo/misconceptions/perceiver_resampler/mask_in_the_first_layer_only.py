"""Misconception: Padding that the first layer has not read is gone.

Tell: Your first layer hides the padding and the next one reads it. Every layer goes back to the
picture, so every layer needs the mask.
Caught by: hidden_visual_tokens_are_not_read, hidden_tokens_reach_no_latent
"""

from einops import repeat

from course_lib.resampler import PerceiverResampler as Reference


class PerceiverResampler(Reference):
    def forward(self, visual, visual_mask=None, frame=None):
        if frame is not None:
            visual = visual + self.time_embeddings[frame]
        latents = repeat(self.latents, "q d -> b q d", b=len(visual))
        for attention, feed_forward in self.blocks:
            latents = latents + attention(visual, latents, visual_mask)
            latents = latents + feed_forward(latents)
            visual_mask = None
        return self.layer_norm(latents)
