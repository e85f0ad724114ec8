"""Misconception: The n-th visual token gets the n-th time embedding.

Tell: You add embeddings in the order of the tokens. A frame has many tokens, and all of them get the
embedding of their frame.
Caught by: each_token_gets_the_embedding_of_its_frame, gradients_arrive_everywhere
"""

from einops import repeat

from course_lib.resampler import PerceiverResampler as Reference


class PerceiverResampler(Reference):
    def forward(self, visual, visual_mask=None, frame=None):
        if frame is not None:
            visual = visual + self.time_embeddings[: visual.shape[1]]
        latents = repeat(self.latents, "q d -> b q d", b=len(visual))
        for attention, feed_forward in self.blocks:
            latents = latents + attention(visual, latents, visual_mask)
            latents = latents + feed_forward(latents)
        return self.layer_norm(latents)
