"""Right: a list of rows, each with its newline, joined at the end."""

import torch
from torch import nn


class EarlyFusion(nn.Module):
    def __init__(self, n_numbers, d_text):
        super().__init__()
        self.newline = nn.Parameter(torch.zeros(d_text))
        self.vision_embed_tokens = nn.Linear(n_numbers, d_text)

    def forward(self, patches, columns):
        b, v, _ = patches.shape
        if columns <= 0 or v % columns != 0:
            raise ValueError(f"v={v} is no multiple of columns={columns}")
        pieces = []
        for start in range(0, v, columns):
            pieces.append(self.vision_embed_tokens(patches[:, start : start + columns]))
            pieces.append(self.newline[None, None].expand(b, -1, -1))
        return torch.cat(pieces, dim=1)
