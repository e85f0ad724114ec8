"""Right: each picture by itself, hidden tokens left out, no batch axis anywhere."""

import torch
from torch import nn


class SimplifiedQFormer(nn.Module):
    def __init__(self, d_visual, d_text, n_queries, n_layers, n_heads, d_model):
        super().__init__()
        self.queries = nn.Parameter(torch.randn(n_queries, d_model) / 50)
        self.layers = nn.ModuleList()
        for i in range(n_layers):
            parts = nn.ModuleDict()
            parts["self_attention"] = nn.MultiheadAttention(d_model, n_heads)
            parts["self_norm"] = nn.LayerNorm(d_model)
            if not i % 2:
                parts["cross_attention"] = nn.MultiheadAttention(
                    d_model, n_heads, kdim=d_visual, vdim=d_visual
                )
                parts["cross_norm"] = nn.LayerNorm(d_model)
            parts["feed_forward"] = nn.Sequential(
                nn.Linear(d_model, 4 * d_model), nn.GELU(), nn.Linear(4 * d_model, d_model)
            )
            parts["feed_norm"] = nn.LayerNorm(d_model)
            self.layers.append(parts)
        self.to_text = nn.Linear(d_model, d_text)

    def forward(self, visual, visual_mask=None):
        if visual_mask is None:
            return torch.stack([self.summary(picture) for picture in visual])
        return torch.stack(
            [self.summary(picture[keep]) for picture, keep in zip(visual, visual_mask, strict=True)]
        )

    def summary(self, tokens):
        x = self.queries
        for parts in self.layers:
            x = parts["self_norm"](x + parts["self_attention"](x, x, x)[0])
            if "cross_attention" in parts:
                read = parts["cross_attention"](x, tokens, tokens)[0] if len(tokens) else 0.0
                x = parts["cross_norm"](x + read)
            x = parts["feed_norm"](x + parts["feed_forward"](x))
        return self.to_text(x)
