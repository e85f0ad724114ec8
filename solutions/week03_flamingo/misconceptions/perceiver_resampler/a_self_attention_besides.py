"""Misconception: The latents hear each other in a step of their own, before they read.

Tell: You let the latents attend to themselves first and read the picture afterwards. There is one
attention, over picture and latents together, and one softmax shares it out.
Caught by: values_are_those_of_the_definition, gradients_arrive_everywhere
"""

import torch.nn.functional as F
from einops import rearrange
from torch import nn

from course_lib.resampler import FeedForward, LatentAttention
from course_lib.resampler import PerceiverResampler as Reference


class Attention(LatentAttention):
    def forward(self, visual, latents, visual_mask=None):
        own = self.latents_layer_norm(latents)
        said = self.attend(own, own, None)
        picture = self.context_layer_norm(visual)
        return said + self.attend(self.latents_layer_norm(latents + said), picture, visual_mask)

    def attend(self, asking, source, keep):
        q, k, values = (
            rearrange(project(x), "b s (h e) -> b h s e", h=self.n_heads)
            for project, x in ((self.q_proj, asking), (self.k_proj, source), (self.v_proj, source))
        )
        mask = None if keep is None else keep[:, None, None]
        read = F.scaled_dot_product_attention(q, k, values, attn_mask=mask)
        return self.output_proj(rearrange(read, "b h q e -> b q (h e)"))


class PerceiverResampler(Reference):
    def __init__(self, d_model, n_latents, n_layers, n_heads, d_head, n_frames=0):
        super().__init__(d_model, n_latents, n_layers, n_heads, d_head, n_frames)
        self.blocks = nn.ModuleList(
            nn.ModuleList([Attention(d_model, n_heads, d_head), FeedForward(d_model)])
            for _ in range(n_layers)
        )
