"""Right: both additions kept apart and summed at the end; the gates from two sigmoids.

tanh(a) = 2 sigmoid(2a) - 1, which is exactly 0 at 0.
"""

import torch
from torch import nn


class Half(nn.Module):
    def forward(self, alpha):
        return 2 * torch.sigmoid(2 * alpha) - 1


class GatedBlock(nn.Module):
    def __init__(self, attention: nn.Module, feed_forward: nn.Module, d_text: int) -> None:
        super().__init__()
        self.gate = Half()
        self.alpha_cross_attn = nn.Parameter(torch.zeros(1))
        self.cross_attn, self.input_layernorm = attention, nn.RMSNorm(d_text, eps=1e-6)
        self.alpha_dense = nn.Parameter(torch.zeros(1))
        self.mlp, self.post_attention_layernorm = feed_forward, nn.RMSNorm(d_text, eps=1e-6)

    def forward(self, text, visual, media_mask=None):
        added = self.gate(self.alpha_cross_attn) * self.cross_attn(
            self.input_layernorm(text), visual, media_mask
        )
        thought = self.mlp(self.post_attention_layernorm(text + added))
        return text + added + self.gate(self.alpha_dense) * thought
