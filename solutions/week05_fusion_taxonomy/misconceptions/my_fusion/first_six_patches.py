"""Misconception: The first tokens say enough about the rest.

Tell: You keep the first six patches, one row of the picture, and drop the other 30. An encoder's patch
tokens know something of each other, and not enough.

Caught by: every_patch_counts
"""

import torch.nn.functional as F
from torch import nn


class MyFusion(nn.Module):
    def __init__(self, d_visual=128, d_text=128):
        super().__init__()
        self.up = nn.Linear(d_visual, 256)
        self.down = nn.Linear(256, d_text)

    def forward(self, visual):
        return self.down(F.gelu(self.up(visual[:, :6])))
