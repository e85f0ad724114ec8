"""Right, with a torch whose fused attention gives 0 for a row that keeps nothing (2.5 and later)."""

import torch.nn.functional as F
from einops import rearrange
from torch import nn


class MaskedCrossAttention(nn.Module):
    def __init__(self, d_text: int, d_visual: int, n_heads: int, d_head: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.q_proj = nn.Linear(d_text, n_heads * d_head, bias=False)
        self.k_proj = nn.Linear(d_visual, n_heads * d_head, bias=False)
        self.v_proj = nn.Linear(d_visual, n_heads * d_head, bias=False)
        self.o_proj = nn.Linear(n_heads * d_head, d_text, bias=False)

    def forward(self, text, visual, media_mask=None):
        q, k, v = (
            rearrange(x, "b s (h e) -> b h s e", h=self.n_heads)
            for x in (self.q_proj(text), self.k_proj(visual), self.v_proj(visual))
        )
        keep = None if media_mask is None else rearrange(media_mask, "b t s -> b 1 t s")
        read = F.scaled_dot_product_attention(q, k, v, attn_mask=keep)
        return self.o_proj(rearrange(read, "b h t e -> b t (h e)"))
