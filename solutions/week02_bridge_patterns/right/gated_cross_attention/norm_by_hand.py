"""Right: the norm written out, the gate from two sigmoids (tanh(a) = 2 sigmoid(2a) - 1)."""

import torch
from torch import nn


class GatedCrossAttention(nn.Module):
    def __init__(self, attention: nn.Module, d_text: int) -> None:
        super().__init__()
        self.attention, self.norm = attention, nn.LayerNorm(d_text)
        self.alpha = nn.Parameter(torch.zeros(1))

    def forward(self, text, visual, visual_mask=None):
        gate = 2 * torch.sigmoid(2 * self.alpha) - 1
        centred = text - text.mean(dim=-1, keepdim=True)
        spread = (centred.square().mean(dim=-1, keepdim=True) + self.norm.eps).sqrt()
        normed = centred / spread * self.norm.weight + self.norm.bias
        return text + gate * self.attention(normed, visual, visual_mask=visual_mask)
