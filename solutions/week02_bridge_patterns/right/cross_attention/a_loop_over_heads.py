"""Right: one head after the other, in plain matrix products, with the mask added as a number."""

import math

import torch
from torch import nn


class CrossAttention(nn.Module):
    def __init__(self, d_text: int, d_visual: int, n_heads: int, d_head: int) -> None:
        super().__init__()
        self.n_heads, self.d_head = n_heads, d_head
        self.q_proj = nn.Linear(d_text, n_heads * d_head, bias=False)
        self.k_proj = nn.Linear(d_visual, n_heads * d_head, bias=False)
        self.v_proj = nn.Linear(d_visual, n_heads * d_head, bias=False)
        self.out_proj = nn.Linear(n_heads * d_head, d_text)

    def forward(self, text, visual, visual_mask=None):
        if visual_mask is None:
            visual_mask = torch.ones(visual.shape[:2], dtype=torch.bool)
        penalty = torch.zeros(visual_mask.shape).masked_fill(~visual_mask, -1e30)[:, None, :]
        q, k, v = self.q_proj(text), self.k_proj(visual), self.v_proj(visual)
        heads = []
        for h in range(self.n_heads):
            columns = slice(h * self.d_head, (h + 1) * self.d_head)
            scores = q[..., columns] @ k[..., columns].mT / math.sqrt(self.d_head) + penalty
            heads.append(torch.softmax(scores, dim=2) @ v[..., columns])
        out = self.out_proj(torch.cat(heads, dim=-1))
        return torch.where(visual_mask.any(dim=1)[:, None, None], out, torch.zeros(()))
