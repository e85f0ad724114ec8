"""Right: one more key that everybody may look at, with a value of zero, for those who keep nothing.

It is hidden from every token that keeps something, so that it takes no weight there.
"""

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
        (b, t, _), s = text.shape, visual.shape[1]
        if media_mask is None:
            media_mask = torch.ones(b, t, s, dtype=torch.bool)
        keep = torch.cat([media_mask, ~media_mask.any(dim=2, keepdim=True)], dim=2)
        seats = torch.cat([visual, torch.zeros_like(visual[:, :1])], dim=1)  # without biases its value is 0
        q, k, v = self.q_proj(text), self.k_proj(seats), self.v_proj(seats)
        heads = []
        for h in range(self.n_heads):
            columns = slice(h * self.d_head, (h + 1) * self.d_head)
            scores = torch.bmm(q[..., columns], k[..., columns].mT) / self.d_head**0.5
            heads.append(scores.masked_fill(~keep, -torch.inf).softmax(dim=2) @ v[..., columns])
        return self.o_proj(torch.cat(heads, dim=2))
