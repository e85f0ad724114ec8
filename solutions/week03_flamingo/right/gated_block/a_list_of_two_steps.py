"""Right: the two additions as one loop over (branch, norm, gate)."""

import torch
from torch import nn


class GatedBlock(nn.Module):
    def __init__(self, attention: nn.Module, feed_forward: nn.Module, d_text: int) -> None:
        super().__init__()
        self.cross_attn = attention
        self.mlp = feed_forward
        self.input_layernorm = nn.RMSNorm(d_text, eps=1e-6)
        self.post_attention_layernorm = nn.RMSNorm(d_text, eps=1e-6)
        self.alpha_cross_attn = nn.Parameter(torch.empty(1))
        self.alpha_dense = nn.Parameter(torch.empty(1))
        nn.init.zeros_(self.alpha_cross_attn)
        nn.init.zeros_(self.alpha_dense)

    def forward(self, text, visual, media_mask=None):
        steps = (
            (lambda x: self.cross_attn(x, visual, media_mask), self.input_layernorm, self.alpha_cross_attn),
            (self.mlp, self.post_attention_layernorm, self.alpha_dense),
        )
        for branch, norm, alpha in steps:
            text = torch.add(branch(norm(text)) * alpha[0].tanh(), text)
        return text
