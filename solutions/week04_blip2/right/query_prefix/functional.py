"""Right: einsum for the matrix, and a copy through a mask that keeps all."""

import copy

import torch
from torch import nn


class QueryPrefix(nn.Module):
    def __init__(self, query_tokens, qformer, d_text):
        super().__init__()
        match tuple(query_tokens.shape):
            case (1, _, d):
                pass
            case shape:
                raise ValueError(f"one row of queries is asked for, (1, q, d), and not {shape}.")
        self.qformer = copy.deepcopy(qformer)
        for layer in self.qformer.encoder.layer:
            for name in [n for n, _ in layer.named_children() if n in ("intermediate", "output")]:
                delattr(layer, name)
        self.qformer.text = False
        self.language_projection = nn.Linear(d, d_text)
        self.query_tokens = nn.Parameter(torch.empty_like(query_tokens))
        with torch.no_grad():
            self.query_tokens.copy_(query_tokens)

    def forward(self, visual, visual_mask=None):
        if visual_mask is None:
            visual_mask = torch.ones(visual.shape[:2], dtype=torch.bool, device=visual.device)
        queries = torch.cat([self.query_tokens] * visual.shape[0])
        read = self.qformer(queries, queries.shape[1], None, visual, visual_mask)
        matrix, bias = self.language_projection.weight, self.language_projection.bias
        return torch.einsum("bqd,wd->bqw", read, matrix) + bias
