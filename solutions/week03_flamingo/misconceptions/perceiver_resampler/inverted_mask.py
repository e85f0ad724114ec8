"""Misconception: True in the mask means hide.

Tell: Your mask is turned round: visual tokens that are kept are hidden, and padding is read. True means
keep, here and in torch's scaled_dot_product_attention.
Caught by: hidden_visual_tokens_are_not_read, hidden_tokens_reach_no_latent,
a_picture_of_padding_stays_finite
"""

from torch import nn

from course_lib.resampler import FeedForward, LatentAttention
from course_lib.resampler import PerceiverResampler as Reference


class Attention(LatentAttention):
    def forward(self, visual, latents, visual_mask=None):
        return super().forward(visual, latents, None if visual_mask is None else ~visual_mask)


class PerceiverResampler(Reference):
    def __init__(self, d_model, n_latents, n_layers, n_heads, d_head, n_frames=0):
        super().__init__(d_model, n_latents, n_layers, n_heads, d_head, n_frames)
        self.blocks = nn.ModuleList(
            nn.ModuleList([Attention(d_model, n_heads, d_head), FeedForward(d_model)])
            for _ in range(n_layers)
        )
