"""Misconception: The latents are drawn with a standard deviation of 0.02.

Tell: Your latents start about fifty times too small. 0.02 is a habit of BERT's; Flamingo's latents are
drawn with standard deviation 1, the size of a normed token.
Caught by: latents_are_learned_and_drawn_at_random
"""

import torch
from torch import nn

from course_lib.resampler import PerceiverResampler as Reference


class PerceiverResampler(Reference):
    def __init__(self, d_model, n_latents, n_layers, n_heads, d_head, n_frames=0):
        super().__init__(d_model, n_latents, n_layers, n_heads, d_head, n_frames)
        self.latents = nn.Parameter(0.02 * torch.randn(n_latents, d_model))
