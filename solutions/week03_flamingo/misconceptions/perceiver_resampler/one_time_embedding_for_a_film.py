"""Misconception: A film has one time embedding, that of its first token.

Tell: All tokens of a film get the embedding of its first one's frame, and so nothing tells early from
late. Look the embedding up token by token.
Caught by: each_token_gets_the_embedding_of_its_frame, gradients_arrive_everywhere
"""

from einops import repeat

from course_lib.resampler import PerceiverResampler as Reference


class PerceiverResampler(Reference):
    def forward(self, visual, visual_mask=None, frame=None):
        if frame is not None:
            visual = visual + self.time_embeddings[frame[:, :1]]
        latents = repeat(self.latents, "q d -> b q d", b=len(visual))
        for attention, feed_forward in self.blocks:
            latents = latents + attention(visual, latents, visual_mask)
            latents = latents + feed_forward(latents)
        return self.layer_norm(latents)
