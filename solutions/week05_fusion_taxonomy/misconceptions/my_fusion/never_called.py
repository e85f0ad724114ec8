"""Misconception: A layer in __init__ is a layer at work.

Tell: One of your layers is made and never called. It is paid for, and it learns nothing.

Caught by: every_parameter_learns
"""

from einops import rearrange
from torch import nn


class MyFusion(nn.Module):
    def __init__(self, d_visual=128, d_text=128):
        super().__init__()
        self.to_word = nn.Linear(6 * d_visual, d_text)
        self.norm = nn.LayerNorm(6 * d_visual)

    def forward(self, visual):
        return self.to_word(rearrange(visual, "b (y i x j) d -> b (y x) (i j d)", y=3, i=2, x=2, j=3))
