"""Misconception: One random latent is drawn and repeated.

Tell: You draw one row and copy it. Equal latents get equal gradients and never part: each needs a draw
of its own.
Caught by: latents_are_learned_and_drawn_at_random
"""

import torch
from torch import nn

from course_lib.resampler import PerceiverResampler as Reference


class PerceiverResampler(Reference):
    def __init__(self, d_model, n_latents, n_layers, n_heads, d_head, n_frames=0):
        super().__init__(d_model, n_latents, n_layers, n_heads, d_head, n_frames)
        self.latents = nn.Parameter(torch.randn(1, d_model).repeat(n_latents, 1))
