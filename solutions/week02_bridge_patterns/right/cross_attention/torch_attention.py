"""Right: torch's fused attention, which takes a boolean mask with True = keep."""

import torch.nn.functional as F
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
        def split(x):
            return x.unflatten(-1, (self.n_heads, self.d_head)).transpose(1, 2)

        keep = None
        if visual_mask is not None:
            # A row that keeps nothing may look at everything here; its output is thrown away below.
            empty = ~visual_mask.any(dim=1, keepdim=True)
            keep = (visual_mask | empty)[:, None, None, :]
        q, k, v = split(self.q_proj(text)), split(self.k_proj(visual)), split(self.v_proj(visual))
        read = F.scaled_dot_product_attention(q, k, v, attn_mask=keep)
        out = self.out_proj(read.transpose(1, 2).flatten(2))
        if visual_mask is not None:
            out = out.masked_fill(empty[..., None], 0.0)
        return out
