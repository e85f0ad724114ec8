"""Misconception: The latents are a fixed random basis.

Tell: Your latents are no parameter, so no optimiser will move them. They are the questions that the
resampler learns to ask.
Caught by: latents_are_learned_and_drawn_at_random, gradients_arrive_everywhere
"""

import torch

from course_lib.resampler import PerceiverResampler as Reference


class PerceiverResampler(Reference):
    def __init__(self, d_model, n_latents, n_layers, n_heads, d_head, n_frames=0):
        super().__init__(d_model, n_latents, n_layers, n_heads, d_head, n_frames)
        del self.latents
        self.register_buffer("latents", torch.randn(n_latents, d_model))
