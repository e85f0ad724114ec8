"""Right: torch's fused attention, where a token that keeps nothing looks at everything and is set to zero."""

import torch.nn.functional as F
from torch import nn


class MaskedCrossAttention(nn.Module):
    def __init__(self, d_text: int, d_visual: int, n_heads: int, d_head: int) -> None:
        super().__init__()
        self.heads = (n_heads, d_head)
        self.q_proj = nn.Linear(d_text, n_heads * d_head, bias=False)
        self.k_proj = nn.Linear(d_visual, n_heads * d_head, bias=False)
        self.v_proj = nn.Linear(d_visual, n_heads * d_head, bias=False)
        self.o_proj = nn.Linear(n_heads * d_head, d_text, bias=False)

    def forward(self, text, visual, media_mask=None):
        q = self.q_proj(text).unflatten(-1, self.heads).transpose(1, 2)
        k = self.k_proj(visual).unflatten(-1, self.heads).transpose(1, 2)
        v = self.v_proj(visual).unflatten(-1, self.heads).transpose(1, 2)
        if media_mask is None:
            return self.o_proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        nothing = media_mask.logical_not().all(dim=-1, keepdim=True)
        read = F.scaled_dot_product_attention(q, k, v, attn_mask=(media_mask | nothing).unsqueeze(1))
        return self.o_proj(read.transpose(1, 2).flatten(2)) * nothing.logical_not()
