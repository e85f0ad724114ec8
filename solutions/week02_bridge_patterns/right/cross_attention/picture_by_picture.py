"""Right: each row of the batch by itself, with the hidden tokens left out instead of masked."""

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
        rows = []
        for i in range(len(text)):
            seen = visual[i] if visual_mask is None else visual[i][visual_mask[i]]
            rows.append(self._read(text[i], seen) if len(seen) else torch.zeros_like(text[i]))
        return torch.stack(rows)

    def _read(self, words, seen):
        shape = (-1, self.n_heads, self.d_head)
        q, k, v = (
            project(x).view(shape).permute(1, 0, 2)
            for project, x in ((self.q_proj, words), (self.k_proj, seen), (self.v_proj, seen))
        )
        weights = torch.softmax(torch.bmm(q, k.mT) * self.d_head**-0.5, dim=-1)
        return self.out_proj(torch.bmm(weights, v).permute(1, 0, 2).reshape(len(words), -1))
