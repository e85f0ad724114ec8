"""Misconception: Attention in a language model's neighbourhood is causal.

Tell: Each of your latents reads only the first few keys: a causal mask is on. Neither a picture nor a
set of latents has a later.
Caught by: latents_read_the_picture_and_each_other, hidden_visual_tokens_are_not_read,
values_are_those_of_the_definition, latents_are_learned_and_drawn_at_random,
everything_reaches_every_output, a_picture_is_a_set_of_any_size, hidden_tokens_reach_no_latent,
a_picture_of_padding_stays_finite, gradients_arrive_everywhere
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
        source = torch.cat([self.context_layer_norm(visual), latents], dim=1)
        q, k, values = (
            rearrange(project(x), "b s (h e) -> b h s e", h=self.n_heads)
            for project, x in ((self.q_proj, latents), (self.k_proj, source), (self.v_proj, source))
        )
        keep = None
        if visual_mask is not None:
            keep = torch.cat([visual_mask, visual_mask.new_ones(latents.shape[:2])], dim=1)[:, None, None]
        past = torch.ones(q.shape[2], k.shape[2], dtype=torch.bool).tril()
        keep = past if keep is None else keep & past
        read = F.scaled_dot_product_attention(q, k, values, attn_mask=keep)
        return self.output_proj(rearrange(read, "b h q e -> b q (h e)"))


class PerceiverResampler(Reference):
    def __init__(self, d_model, n_latents, n_layers, n_heads, d_head, n_frames=0):
        super().__init__(d_model, n_latents, n_layers, n_heads, d_head, n_frames)
        self.blocks = nn.ModuleList(
            nn.ModuleList([Attention(d_model, n_heads, d_head), FeedForward(d_model)])
            for _ in range(n_layers)
        )
