"""Right: the norm written out in its own class, the gate from exponentials."""

import torch
from torch import nn


class Norm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return self.weight * (x * (x.pow(2).mean(-1, keepdim=True) + 1e-6).rsqrt())


class GatedBlock(nn.Module):
    def __init__(self, attention: nn.Module, feed_forward: nn.Module, d_text: int) -> None:
        super().__init__()
        self.cross_attn, self.mlp = attention, feed_forward
        self.input_layernorm, self.post_attention_layernorm = Norm(d_text), Norm(d_text)
        for name in ("alpha_cross_attn", "alpha_dense"):
            self.register_parameter(name, nn.Parameter(torch.zeros(1)))

    @staticmethod
    def _gate(alpha):
        return torch.expm1(2 * alpha) / (torch.expm1(2 * alpha) + 2)

    def forward(self, text, visual, media_mask=None):
        read = self.cross_attn(self.input_layernorm(text), visual, media_mask=media_mask)
        text = text + self._gate(self.alpha_cross_attn) * read
        return text + self._gate(self.alpha_dense) * self.mlp(self.post_attention_layernorm(text))
