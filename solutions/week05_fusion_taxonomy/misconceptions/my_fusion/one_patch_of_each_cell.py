"""Misconception: Sampling the picture is as good as summarising it.

Tell: You take one patch out of each cell. What stands on the other five reaches nobody.

Caught by: every_patch_counts
"""

from einops import rearrange
from torch import nn


class MyFusion(nn.Module):
    def __init__(self, d_visual=128, d_text=128):
        super().__init__()
        self.to_word = nn.Linear(d_visual, d_text)

    def forward(self, visual):
        grid = rearrange(visual, "b (y x) d -> b y x d", y=6)
        return self.to_word(rearrange(grid[:, 1::2, 1::3], "b y x d -> b (y x) d"))
