"""Misconception: The feed-forward takes the latents as they are.

Tell: Your feed-forward skips its norm, ln. In a pre-norm layer each of the two steps norms its own
input.
Caught by: values_are_those_of_the_definition, gradients_arrive_everywhere
"""

from torch import nn

from course_lib.resampler import FeedForward, LatentAttention
from course_lib.resampler import PerceiverResampler as Reference


class Gap(FeedForward):
    def forward(self, latents):
        return self.c_proj(self.fc(latents).relu())


class PerceiverResampler(Reference):
    def __init__(self, d_model, n_latents, n_layers, n_heads, d_head, n_frames=0):
        super().__init__(d_model, n_latents, n_layers, n_heads, d_head, n_frames)
        self.blocks = nn.ModuleList(
            nn.ModuleList([LatentAttention(d_model, n_heads, d_head), Gap(d_model)]) for _ in range(n_layers)
        )
