"""Misconception: The time embedding is added to the normed picture.

Tell: You add the time embedding after context_layer_norm. It belongs to the token, so it is added once,
before the first layer, and normed with it.
Caught by: each_token_gets_the_embedding_of_its_frame, gradients_arrive_everywhere
"""

import torch.nn.functional as F
from torch import nn

from course_lib.resampler import FeedForward, LatentAttention
from course_lib.resampler import PerceiverResampler as Reference


class Attention(LatentAttention):
    def forward(self, visual, latents, visual_mask=None):
        self.context_layer_norm.forward = lambda tokens: (
            F.layer_norm(
                tokens, tokens.shape[-1:], self.context_layer_norm.weight, self.context_layer_norm.bias
            )
            + self.moment
        )
        return super().forward(visual, latents, visual_mask)


class PerceiverResampler(Reference):
    def __init__(self, d_model, n_latents, n_layers, n_heads, d_head, n_frames=0):
        super().__init__(d_model, n_latents, n_layers, n_heads, d_head, n_frames)
        self.blocks = nn.ModuleList(
            nn.ModuleList([Attention(d_model, n_heads, d_head), FeedForward(d_model)])
            for _ in range(n_layers)
        )

    def forward(self, visual, visual_mask=None, frame=None):
        for attention, _ in self.blocks:
            attention.moment = 0.0 if frame is None else self.time_embeddings[frame]
        return super().forward(visual, visual_mask)
