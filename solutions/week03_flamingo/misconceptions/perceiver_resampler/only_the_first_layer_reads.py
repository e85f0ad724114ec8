"""Misconception: The picture is read once, in the first layer.

Tell: In your resampler only the first layer gets the picture; after it the latents read themselves.
Every layer reads it anew, with better questions each time.
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
            latents = latents + feed_forward(latents)
            visual, visual_mask = visual[:, :0], None
        return self.layer_norm(latents)
