"""Right: a loop over the tokens of a picture."""

import torch
from torch import nn


class LinearProjector(nn.Module):
    def __init__(self, d_visual, d_text):
        super().__init__()
        self.linear = nn.Linear(in_features=d_visual, out_features=d_text, bias=True)

    def forward(self, visual):
        tokens = [self.linear(visual[:, j]) for j in range(visual.shape[1])]
        return torch.stack(tokens, dim=1)
