"""Misconception: The feed-forward's output replaces the latents.

Tell: After your feed-forward what was read is gone, but for what passed through it. Add it to the
latents.
Caught by: values_are_those_of_the_definition, gradients_arrive_everywhere
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
            latents = feed_forward(latents)
        return self.layer_norm(latents)
