"""Misconception: Layers in a list are found.

Tell: Your layers stand in a Python list, where nn.Module does not look: they are no parameters of yours.
nn.ModuleList is one that it sees.

Caught by: parameters_stay_within_the_budget, it_learns_to_see, it_sees_well
"""

import torch.nn.functional as F
from einops import rearrange
from torch import nn


class MyFusion(nn.Module):
    def __init__(self, d_visual=128, d_text=128):
        super().__init__()
        self.layers = [nn.Linear(6 * d_visual, 96), nn.Linear(96, d_text)]

    def forward(self, visual):
        cells = rearrange(visual, "b (y i x j) d -> b (y x) (i j d)", y=3, i=2, x=2, j=3)
        return self.layers[1](F.gelu(self.layers[0](cells)))
