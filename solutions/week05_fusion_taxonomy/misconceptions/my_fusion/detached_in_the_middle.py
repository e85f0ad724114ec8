"""Misconception: A detach keeps the frozen encoder frozen.

Tell: You detach behind your own first map. The features arrive without a gradient anyway, and what is cut
off here is your own map.

Caught by: every_parameter_learns
"""

import torch.nn.functional as F
from einops import rearrange
from torch import nn


class MyFusion(nn.Module):
    def __init__(self, d_visual=128, d_text=128):
        super().__init__()
        self.narrow = nn.Linear(d_visual, 24)
        self.to_word = nn.Linear(6 * 24, d_text)

    def forward(self, visual):
        narrow = F.gelu(self.narrow(visual)).detach()
        return self.to_word(rearrange(narrow, "b (y i x j) d -> b (y x) (i j d)", y=3, i=2, x=2, j=3))
