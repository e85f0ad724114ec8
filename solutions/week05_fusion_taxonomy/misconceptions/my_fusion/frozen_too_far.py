"""Misconception: What stands before the language model is frozen with it.

Tell: You froze the first map of your bridge. Encoder and language model are frozen; what stands between
them is all that trains.

Caught by: every_parameter_learns
"""

import torch.nn.functional as F
from einops import rearrange
from torch import nn


class MyFusion(nn.Module):
    def __init__(self, d_visual=128, d_text=128):
        super().__init__()
        self.narrow = nn.Linear(6 * d_visual, 96).requires_grad_(False)
        self.to_word = nn.Linear(96, d_text)

    def forward(self, visual):
        cells = rearrange(visual, "b (y i x j) d -> b (y x) (i j d)", y=3, i=2, x=2, j=3)
        return self.to_word(F.gelu(self.narrow(cells)))
