"""Right: sequence first, and hidden tokens shut out by an additive mask of numbers."""

import torch
from einops import rearrange
from torch import nn


class Layer(nn.Module):
    def __init__(self, d_visual, n_heads, d_model, looks):
        super().__init__()
        self.looks, self.n_heads = looks, n_heads
        self.self_attention = nn.MultiheadAttention(d_model, n_heads)
        self.self_norm = nn.LayerNorm(d_model)
        if looks:
            self.cross_attention = nn.MultiheadAttention(d_model, n_heads, kdim=d_visual, vdim=d_visual)
            self.cross_norm = nn.LayerNorm(d_model)
        self.feed_forward = nn.Sequential(
            nn.Linear(d_model, 4 * d_model), nn.GELU(), nn.Linear(4 * d_model, d_model)
        )
        self.feed_norm = nn.LayerNorm(d_model)

    def forward(self, queries, visual, keep):
        queries = self.self_norm(queries + self.self_attention(queries, queries, queries)[0])
        if self.looks:
            penalty = torch.zeros(keep.shape).masked_fill(~keep, -1e30)
            penalty = penalty[:, None, None, :].expand(-1, self.n_heads, len(queries), -1).flatten(0, 1)
            read = self.cross_attention(queries, visual, visual, attn_mask=penalty)[0]
            queries = self.cross_norm(queries + read * keep.any(dim=1)[None, :, None])
        return self.feed_norm(queries + self.feed_forward(queries))


class SimplifiedQFormer(nn.Module):
    def __init__(self, d_visual, d_text, n_queries, n_layers, n_heads, d_model):
        super().__init__()
        self.queries = nn.Parameter(torch.normal(0.0, 0.02, (n_queries, d_model)))
        self.layers = nn.ModuleList(
            Layer(d_visual, n_heads, d_model, looks=i % 2 == 0) for i in range(n_layers)
        )
        self.to_text = nn.Linear(d_model, d_text)

    def forward(self, visual, visual_mask=None):
        keep = torch.ones(visual.shape[:2], dtype=torch.bool) if visual_mask is None else visual_mask
        sequence = rearrange(visual, "b v d -> v b d")
        queries = self.queries.unsqueeze(1).repeat(1, len(visual), 1)
        for layer in self.layers:
            queries = layer(queries, sequence, keep)
        return self.to_text(queries).transpose(0, 1)
