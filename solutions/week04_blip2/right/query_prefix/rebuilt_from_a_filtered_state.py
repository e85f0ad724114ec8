"""Right: keeps what does not belong to the text, picked by name, and calls with keywords."""

import copy

from torch import nn


class QueryPrefix(nn.Module):
    def __init__(self, query_tokens, qformer, d_text):
        super().__init__()
        shape = tuple(query_tokens.shape)
        if len(shape) != 3 or shape[0] != 1:
            raise ValueError(f"expected (1, q, d), got {shape}")
        self.query_tokens = nn.Parameter(query_tokens.clone().detach())
        self.qformer = copy.deepcopy(qformer)
        for layer in self.qformer.encoder.layer:
            for name in ("intermediate", "output"):
                layer._modules.pop(name, None)
        self.qformer.text = False
        self.language_projection = nn.Linear(shape[-1], d_text)

    def forward(self, visual, visual_mask=None):
        n = self.query_tokens.size(1)
        tokens = self.query_tokens.expand(visual.size(0), n, -1)
        return self.language_projection(
            self.qformer(tokens=tokens, n_queries=n, visual=visual, visual_mask=visual_mask)
        )
