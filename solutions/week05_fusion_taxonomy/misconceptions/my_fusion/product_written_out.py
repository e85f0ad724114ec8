"""Misconception: What the counter of torch does not see is free.

Tell: You multiply number by number and add up, where a matrix product would be counted. It is the same
work, and here it is counted as well.

Caught by: flops_stay_within_the_budget, it_learns_to_see, it_sees_well
"""

import torch
from einops import reduce
from torch import nn


class MyFusion(nn.Module):
    def __init__(self, d_visual=128, d_text=128):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(d_visual, 256) / d_visual**0.5)
        self.more = nn.Linear(256, d_text)

    def forward(self, visual):
        words = (visual[:, :, :, None] * self.weight).sum(dim=2)
        return self.more(reduce(words, "b (y i x j) d -> b (y x) d", "mean", y=3, i=2, x=2, j=3))
