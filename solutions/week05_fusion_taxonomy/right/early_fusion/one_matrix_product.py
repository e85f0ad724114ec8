"""Right: einsum for the map, and a newline padded on to each row before rows are joined."""

import torch
import torch.nn.functional as F
from torch import nn


class EarlyFusion(nn.Module):
    def __init__(self, n_numbers, d_text):
        super().__init__()
        self.vision_embed_tokens = nn.Linear(n_numbers, d_text)
        self.register_parameter("newline", nn.Parameter(0.1 * torch.ones(d_text)))

    def forward(self, patches, columns):
        if columns < 1 or patches.size(1) % columns:
            raise ValueError(f"cannot lay {patches.size(1)} patches in rows of {columns}")
        tokens = torch.einsum("bvk,dk->bvd", patches, self.vision_embed_tokens.weight)
        tokens = tokens + self.vision_embed_tokens.bias
        rows = F.pad(tokens.reshape(len(patches), -1, columns, tokens.size(-1)), (0, 0, 0, 1))
        last = F.one_hot(torch.tensor(columns), columns + 1)[:, None]
        return (rows + last * self.newline).flatten(1, 2)
