"""Misconception: A layer can be made when its size is known.

Tell: You make a layer in forward, at the first picture. By then the optimiser has its list, and this layer
is not on it; nor was it counted.

Caught by: every_parameter_learns
"""

import torch.nn.functional as F
from einops import rearrange
from torch import nn


class MyFusion(nn.Module):
    def __init__(self, d_visual=128, d_text=128):
        super().__init__()
        self.d_text = d_text
        self.narrow = nn.Linear(d_visual, 32)
        self.to_word = None

    def forward(self, visual):
        cells = rearrange(F.gelu(self.narrow(visual)), "b (y i x j) d -> b (y x) (i j d)", y=3, i=2, x=2, j=3)
        if self.to_word is None:
            self.to_word = nn.Linear(cells.shape[2], self.d_text)
        return self.to_word(cells)
