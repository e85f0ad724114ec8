"""Misconception: Every layer asks with the learned latents.

Tell: Each of your layers begins with the learned latents and forgets what the one before had read. Pass
the latents on from layer to layer.
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
            latents = self.latents + attention(visual, self.latents.expand_as(latents), visual_mask)
            latents = latents + feed_forward(latents)
        return self.layer_norm(latents)
