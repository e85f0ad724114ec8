"""Right: torch's fused attention by hand, on weights that carry nn.MultiheadAttention's names."""

import torch
import torch.nn.functional as F
from torch import nn


class Attention(nn.Module):
    """Keys and values of width d_source; True in `keep` means keep."""

    def __init__(self, d_model, n_heads, d_source=None):
        super().__init__()
        self.n_heads = n_heads
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * d_model))
        self.out_proj = nn.Linear(d_model, d_model)
        if d_source is None:
            self.in_proj_weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(3 * d_model, d_model)))
        else:
            self.q_proj_weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(d_model, d_model)))
            self.k_proj_weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(d_model, d_source)))
            self.v_proj_weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(d_model, d_source)))

    def forward(self, asking, source, keep=None):
        if hasattr(self, "in_proj_weight"):
            weights = self.in_proj_weight.chunk(3)
        else:
            weights = self.q_proj_weight, self.k_proj_weight, self.v_proj_weight
        q, k, v = (
            F.linear(x, weight, bias).unflatten(-1, (self.n_heads, -1)).transpose(1, 2)
            for x, weight, bias in zip(
                (asking, source, source), weights, self.in_proj_bias.chunk(3), strict=True
            )
        )
        mask = None if keep is None else keep[:, None, None, :]
        return self.out_proj(
            F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).flatten(2)
        )


class Layer(nn.Module):
    def __init__(self, d_visual, n_heads, d, looks):
        super().__init__()
        self.self_attention = Attention(d, n_heads)
        self.self_norm = nn.LayerNorm(d)
        self.cross_attention = Attention(d, n_heads, d_visual) if looks else None
        self.cross_norm = nn.LayerNorm(d) if looks else None
        self.feed_forward = nn.Sequential(nn.Linear(d, 4 * d), nn.GELU(), nn.Linear(4 * d, d))
        self.feed_norm = nn.LayerNorm(d)

    def forward(self, x, visual, keep):
        x = self.self_norm(x + self.self_attention(x, x))
        if self.cross_attention is not None:
            sees = keep.any(dim=1, keepdim=True)
            read = self.cross_attention(x, visual, keep | ~sees)
            x = self.cross_norm(x + torch.where(sees[..., None], read, 0.0))
        return self.feed_norm(x + self.feed_forward(x))


class SimplifiedQFormer(nn.Module):
    def __init__(self, d_visual, d_text, n_queries, n_layers, n_heads, d_model):
        super().__init__()
        self.queries = nn.Parameter(torch.empty(n_queries, d_model).normal_(std=0.02))
        self.layers = nn.ModuleList([Layer(d_visual, n_heads, d_model, i % 2 == 0) for i in range(n_layers)])
        self.to_text = nn.Linear(d_model, d_text)

    def forward(self, visual, visual_mask=None):
        keep = torch.ones(visual.shape[:2], dtype=torch.bool) if visual_mask is None else visual_mask
        x = self.queries[None].expand(visual.shape[0], -1, -1)
        for layer in self.layers:
            x = layer(x, visual, keep)
        return self.to_text(x)
