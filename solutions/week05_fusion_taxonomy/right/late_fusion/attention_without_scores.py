"""Right: a mean is attention that likes all kept tokens alike; rows that keep none are set apart."""

import torch
import torch.nn.functional as F
from torch import nn


class LateFusion(nn.Module):
    def __init__(self, d_visual, d_text, d_shared, n_answers):
        super().__init__()
        self.picture, self.question = nn.Linear(d_visual, d_shared), nn.Linear(d_text, d_shared)
        self.head = nn.Sequential(
            nn.Linear(3 * d_shared, d_shared), nn.GELU(), nn.Linear(d_shared, n_answers)
        )

    @staticmethod
    def attend(tokens, mask):
        query = tokens.new_zeros(len(tokens), 1, tokens.shape[-1])
        if mask is None:
            return F.scaled_dot_product_attention(query, tokens, tokens)[:, 0]
        empty = ~mask.any(dim=1, keepdim=True)
        read = F.scaled_dot_product_attention(query, tokens, tokens, attn_mask=(mask | empty)[:, None])
        return torch.where(empty, 0.0, read[:, 0])

    def forward(self, visual, text, visual_mask=None, text_mask=None):
        seen = self.picture(self.attend(visual, visual_mask))
        asked = self.question(self.attend(text, text_mask))
        return self.head(torch.cat([seen, asked, asked * seen], 1))
