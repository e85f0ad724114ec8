"""Misconception: The encoder has normed its tokens already.

Tell: Your visual tokens become keys and values as they came. Each layer has a norm of its own for them,
context_layer_norm.
Caught by: values_are_those_of_the_definition, gradients_arrive_everywhere
"""

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import nn

from course_lib.resampler import FeedForward, LatentAttention
from course_lib.resampler import PerceiverResampler as Reference


class Attention(LatentAttention):
    def forward(self, visual, latents, visual_mask=None):
        latents = self.latents_layer_norm(latents)
        source = torch.cat([visual, latents], dim=1)
        q, k, values = (
            rearrange(project(x), "b s (h e) -> b h s e", h=self.n_heads)
            for project, x in ((self.q_proj, latents), (self.k_proj, source), (self.v_proj, source))
        )
        keep = None
        if visual_mask is not None:
            keep = torch.cat([visual_mask, visual_mask.new_ones(latents.shape[:2])], dim=1)[:, None, None]
        read = F.scaled_dot_product_attention(q, k, values, attn_mask=keep)
        return self.output_proj(rearrange(read, "b h q e -> b q (h e)"))


class PerceiverResampler(Reference):
    def __init__(self, d_model, n_latents, n_layers, n_heads, d_head, n_frames=0):
        super().__init__(d_model, n_latents, n_layers, n_heads, d_head, n_frames)
        self.blocks = nn.ModuleList(
            nn.ModuleList([Attention(d_model, n_heads, d_head), FeedForward(d_model)])
            for _ in range(n_layers)
        )
