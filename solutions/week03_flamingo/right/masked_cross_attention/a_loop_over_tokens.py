"""Right: token by token, with the hidden visual tokens left out instead of masked."""

import torch
from torch import nn


class MaskedCrossAttention(nn.Module):
    def __init__(self, d_text: int, d_visual: int, n_heads: int, d_head: int) -> None:
        super().__init__()
        self.n_heads, self.d_head = n_heads, d_head
        self.q_proj = nn.Linear(d_text, n_heads * d_head, bias=False)
        self.k_proj = nn.Linear(d_visual, n_heads * d_head, bias=False)
        self.v_proj = nn.Linear(d_visual, n_heads * d_head, bias=False)
        self.o_proj = nn.Linear(n_heads * d_head, d_text, bias=False)

    def forward(self, text, visual, media_mask=None):
        return torch.stack(
            [
                torch.stack([self._one(text[i, j], self._kept(visual, media_mask, i, j)) for j in range(t)])
                for i, t in enumerate([text.shape[1]] * len(text))
            ]
        )

    def _kept(self, visual, media_mask, i, j):
        return visual[i] if media_mask is None else visual[i][media_mask[i, j]]

    def _one(self, token, seen):
        if not len(seen):
            return torch.zeros_like(token)
        q = self.q_proj(token).view(self.n_heads, self.d_head)
        k, v = (p(seen).view(-1, self.n_heads, self.d_head) for p in (self.k_proj, self.v_proj))
        weights = (q * k).sum(dim=-1).div(self.d_head**0.5).softmax(dim=0)  # s h
        return self.o_proj((weights[..., None] * v).sum(dim=0).flatten())
