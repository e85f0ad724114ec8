"""Misconception: The picture is read once, in the last layer.

Tell: In your resampler only the last layer gets the picture; before it the latents read themselves.
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
        for i, (attention, feed_forward) in enumerate(self.blocks):
            last = i == len(self.blocks) - 1
            mask = visual_mask if last else None
            latents = latents + attention(visual if last else visual[:, :0], latents, mask)
            latents = latents + feed_forward(latents)
        return self.layer_norm(latents)
