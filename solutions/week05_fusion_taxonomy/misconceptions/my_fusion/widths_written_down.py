"""Misconception: A width is 128.

Tell: You wrote 128 where d_visual or d_text was meant. Both are arguments, and other backbones have others.

Caught by: widths_are_arguments
"""

from einops import rearrange
from torch import nn


class MyFusion(nn.Module):
    def __init__(self, d_visual=128, d_text=128):
        super().__init__()
        self.to_word = nn.Linear(6 * 128, 128)

    def forward(self, visual):
        return self.to_word(rearrange(visual, "b (y i x j) d -> b (y x) (i j d)", y=3, i=2, x=2, j=3))
