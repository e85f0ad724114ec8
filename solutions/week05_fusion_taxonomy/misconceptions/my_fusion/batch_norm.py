"""Misconception: A norm is a norm.

Tell: BatchNorm takes its mean over the pictures of a batch: while it trains, each picture's tokens depend
on who stands beside it. LayerNorm looks at one token alone.

Caught by: pictures_keep_to_themselves
"""

from einops import rearrange
from torch import nn


class MyFusion(nn.Module):
    def __init__(self, d_visual=128, d_text=128):
        super().__init__()
        self.to_word = nn.Linear(6 * d_visual, d_text)
        self.norm = nn.BatchNorm1d(d_text)

    def forward(self, visual):
        cells = rearrange(visual, "b (y i x j) d -> b (y x) (i j d)", y=3, i=2, x=2, j=3)
        words = self.to_word(cells)
        return self.norm(words.transpose(1, 2)).transpose(1, 2)
