"""Right: each token is mapped first, then weighed; the bias is added once, at the end. Nothing is a cat."""

import torch
import torch.nn.functional as F
from torch import nn


class LateFusion(nn.Module):
    def __init__(self, d_visual, d_text, d_shared, n_answers):
        super().__init__()
        self.picture = nn.Linear(d_visual, d_shared)
        self.question = nn.Linear(d_text, d_shared)
        self.head = nn.Sequential(
            nn.Linear(d_shared + d_shared + d_shared, d_shared), nn.GELU(), nn.Linear(d_shared, n_answers)
        )

    def vector(self, layer, tokens, mask):
        b, s, _ = tokens.shape
        weights = tokens.new_full((b, s), 1 / s)
        if mask is not None:
            weights = torch.nan_to_num(mask.float() / mask.float().sum(dim=-1, keepdim=True))
        return torch.einsum("bs,bsd,ed->be", weights, tokens, layer.weight) + layer.bias

    def forward(self, visual, text, visual_mask=None, text_mask=None):
        seen = self.vector(self.picture, visual, visual_mask)
        asked = self.vector(self.question, text, text_mask)
        first, second, both = self.head[0].weight.chunk(3, dim=1)
        hidden = seen @ first.T + asked @ second.T + (seen * asked) @ both.T + self.head[0].bias
        return self.head[2](F.gelu(hidden))
