"""Misconception: The feed-forward has a GELU, as in most transformers.

Tell: Your feed-forward bends with a GELU. Here it is a ReLU.
Caught by: values_are_those_of_the_definition, gradients_arrive_everywhere
"""

import torch.nn.functional as F
from torch import nn

from course_lib.resampler import FeedForward, LatentAttention
from course_lib.resampler import PerceiverResampler as Reference


class Gap(FeedForward):
    def forward(self, latents):
        return self.c_proj(F.gelu(self.fc(self.ln(latents))))


class PerceiverResampler(Reference):
    def __init__(self, d_model, n_latents, n_layers, n_heads, d_head, n_frames=0):
        super().__init__(d_model, n_latents, n_layers, n_heads, d_head, n_frames)
        self.blocks = nn.ModuleList(
            nn.ModuleList([LatentAttention(d_model, n_heads, d_head), Gap(d_model)]) for _ in range(n_layers)
        )
