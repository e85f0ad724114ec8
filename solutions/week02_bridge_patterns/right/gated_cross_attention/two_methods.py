"""Right: read and add as two methods, with the gate as a plain scalar view."""

import torch
from torch import nn


class GatedCrossAttention(nn.Module):
    def __init__(self, attention: nn.Module, d_text: int) -> None:
        super().__init__()
        self.attention = attention
        self.norm = nn.LayerNorm(d_text)
        self.register_parameter("alpha", nn.Parameter(torch.empty(1)))
        nn.init.constant_(self.alpha, 0.0)

    def read(self, text, visual, visual_mask):
        return self.attention(self.norm(text), visual, visual_mask)

    def forward(self, text, visual, visual_mask=None):
        added = self.read(text, visual, visual_mask).mul(self.alpha[0].tanh())
        return added + text
