"""Right: torch's functional norm, and addcmul for 'plus gate times branch'."""

import torch
import torch.nn.functional as F
from torch import nn


class GatedBlock(nn.Module):
    def __init__(self, attention: nn.Module, feed_forward: nn.Module, d_text: int) -> None:
        super().__init__()
        self.alpha_dense = nn.Parameter(torch.tensor([0.0]))
        self.alpha_cross_attn = nn.Parameter(torch.tensor([0.0]))
        self.post_attention_layernorm = nn.RMSNorm(d_text, eps=1e-6)
        self.input_layernorm = nn.RMSNorm(d_text, eps=1e-6)
        self.mlp = feed_forward
        self.cross_attn = attention

    def forward(self, text, visual, media_mask=None):
        def normed(x, norm):
            return F.rms_norm(x, x.shape[-1:], norm.weight, norm.eps)

        read = self.cross_attn(normed(text, self.input_layernorm), visual, media_mask)
        text = torch.addcmul(text, torch.tanh(self.alpha_cross_attn), read)
        thought = self.mlp(normed(text, self.post_attention_layernorm))
        return torch.addcmul(text, torch.tanh(self.alpha_dense), thought)
