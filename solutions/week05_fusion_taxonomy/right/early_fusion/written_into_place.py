"""Right: an empty stream, into which patches and newlines are written by their places."""

import torch
from torch import nn


class EarlyFusion(nn.Module):
    def __init__(self, n_numbers, d_text):
        super().__init__()
        self.vision_embed_tokens = nn.Linear(n_numbers, d_text)
        self.newline = nn.Parameter(torch.randn(d_text))

    def forward(self, patches, columns):
        b, v, _ = patches.shape
        if columns < 1 or v % columns:
            raise ValueError(f"there are {v} patches and rows of {columns}")
        length = v + v // columns
        is_newline = (torch.arange(length) + 1) % (columns + 1) == 0
        stream = patches.new_empty(b, length, self.newline.shape[0])
        stream[:, ~is_newline] = self.vision_embed_tokens(patches)
        stream[:, is_newline] = self.newline
        return stream
