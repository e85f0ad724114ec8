"""Misconception: A token that is zero is not read.

Tell: You set hidden tokens to zero and let them take part. After the norm a zero is its bias, and even
a key of zeros gets a share of the softmax. Hide it there.
Caught by: hidden_visual_tokens_are_not_read, hidden_tokens_reach_no_latent
"""

from einops import repeat

from course_lib.resampler import PerceiverResampler as Reference


class PerceiverResampler(Reference):
    def forward(self, visual, visual_mask=None, frame=None):
        if frame is not None:
            visual = visual + self.time_embeddings[frame]
        if visual_mask is not None:
            visual = visual * visual_mask[..., None]
        latents = repeat(self.latents, "q d -> b q d", b=len(visual))
        for attention, feed_forward in self.blocks:
            latents = latents + attention(visual, latents)
            latents = latents + feed_forward(latents)
        return self.layer_norm(latents)
