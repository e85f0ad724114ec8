"""Right: GELU written out with erf, and einsum."""

import math

import torch
from torch import nn


class MLPProjector(nn.Module):
    def __init__(self, d_visual, d_text):
        super().__init__()
        self.linear_1 = nn.Linear(d_visual, d_text)
        self.linear_2 = nn.Linear(d_text, d_text)

    def forward(self, visual):
        hidden = torch.einsum("bvd,hd->bvh", visual, self.linear_1.weight) + self.linear_1.bias
        hidden = hidden * 0.5 * (1 + torch.erf(hidden / math.sqrt(2)))
        return torch.einsum("bvh,th->bvt", hidden, self.linear_2.weight) + self.linear_2.bias
