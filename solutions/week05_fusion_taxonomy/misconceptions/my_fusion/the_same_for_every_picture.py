"""Misconception: Learned tokens tell the language model what pictures are like.

Tell: Your tokens are learned and the picture does not reach them. That is a prompt, tuned; it sees nothing.

Caught by: pictures_keep_to_themselves, every_patch_counts, it_learns_to_see, it_sees_well
"""

import torch
from torch import nn


class MyFusion(nn.Module):
    def __init__(self, d_visual=128, d_text=128):
        super().__init__()
        self.words = nn.Parameter(torch.randn(6, d_text))

    def forward(self, visual):
        return self.words.expand(len(visual), -1, -1)
