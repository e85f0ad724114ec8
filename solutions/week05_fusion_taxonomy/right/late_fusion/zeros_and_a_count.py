"""Right: hidden tokens set to zero in a copy, a sum, and a count of at least one."""

import torch
from torch import nn


def mean(tokens, mask):
    if mask is None:
        mask = torch.ones(tokens.shape[:-1], dtype=torch.bool, device=tokens.device)
    total = tokens.masked_fill(~mask.unsqueeze(-1), 0.0).sum(1)
    return total / torch.maximum(mask.sum(1, keepdim=True), torch.tensor(1))


class LateFusion(nn.Module):
    def __init__(self, d_visual, d_text, d_shared, n_answers):
        super().__init__()
        self.picture, self.question = nn.Linear(d_visual, d_shared), nn.Linear(d_text, d_shared)
        layers = [nn.Linear(3 * d_shared, d_shared), nn.GELU(), nn.Linear(d_shared, n_answers)]
        self.head = nn.Sequential(*layers)

    def forward(self, visual, text, visual_mask=None, text_mask=None):
        p = self.picture(mean(visual, visual_mask))
        q = self.question(mean(text, text_mask))
        return self.head(torch.hstack([p, q, p * q]))
