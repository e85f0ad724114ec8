"""Misconception: The latents start at zero, like a bias.

Tell: Your latents start at zero, all of them. Equal latents get equal gradients and never part. Draw
them at random.
Caught by: latents_are_learned_and_drawn_at_random
"""

import torch
from torch import nn

from course_lib.resampler import PerceiverResampler as Reference


class PerceiverResampler(Reference):
    def __init__(self, d_model, n_latents, n_layers, n_heads, d_head, n_frames=0):
        super().__init__(d_model, n_latents, n_layers, n_heads, d_head, n_frames)
        self.latents = nn.Parameter(torch.zeros(n_latents, d_model))
