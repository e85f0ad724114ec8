"""Misconception: F.dropout knows when training is over.

Tell: F.dropout drops in eval mode too, unless it is handed training=self.training. nn.Dropout knows by
itself.

Caught by: nothing_is_left_to_chance
"""

import torch.nn.functional as F
from einops import rearrange
from torch import nn


class MyFusion(nn.Module):
    def __init__(self, d_visual=128, d_text=128):
        super().__init__()
        self.to_word = nn.Linear(6 * d_visual, d_text)

    def forward(self, visual):
        cells = rearrange(visual, "b (y i x j) d -> b (y x) (i j d)", y=3, i=2, x=2, j=3)
        return self.to_word(F.dropout(cells, 0.1))
