"""Right: one picture at a time, with a mask for the queries that says what None says."""

from copy import deepcopy

import torch
from torch import nn


class QueryPrefix(nn.Module):
    def __init__(self, query_tokens, qformer, d_text):
        super().__init__()
        if query_tokens.dim() != 3 or query_tokens.shape[0] != 1:
            raise ValueError(f"query_tokens: {list(query_tokens.shape)}; give (1, queries, width)")
        _, self.n, d = query_tokens.shape
        self.register_parameter("query_tokens", nn.Parameter(query_tokens.detach().clone()))
        self.language_projection = nn.Linear(d, d_text)
        self.qformer = deepcopy(qformer)
        if self.qformer.text:
            for layer in self.qformer.encoder.layer:
                delattr(layer, "intermediate")
                delattr(layer, "output")
            self.qformer.text = False

    def forward(self, visual, visual_mask=None):
        sees = torch.ones(1, self.n, self.n, dtype=torch.bool)
        words = []
        for i in range(len(visual)):
            keep = None if visual_mask is None else visual_mask[i : i + 1]
            read = self.qformer(self.query_tokens, self.n, sees, visual[i : i + 1], keep)
            words.append(self.language_projection(read))
        return torch.cat(words)
