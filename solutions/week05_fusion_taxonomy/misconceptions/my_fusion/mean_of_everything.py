"""Misconception: A picture is the mean of its patches.

Tell: You average all 36 patches into one token. The mean of all positions is the same for every picture, so
that what stands where is lost, and only what is there remains.

Caught by: it_learns_to_see, it_sees_well
"""

import torch.nn.functional as F
from torch import nn


class MyFusion(nn.Module):
    def __init__(self, d_visual=128, d_text=128):
        super().__init__()
        self.up = nn.Linear(d_visual, 256)
        self.down = nn.Linear(256, d_text)

    def forward(self, visual):
        return self.down(F.gelu(self.up(visual.mean(dim=1, keepdim=True))))
