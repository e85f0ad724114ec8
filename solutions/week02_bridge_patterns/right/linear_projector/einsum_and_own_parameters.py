"""Right: parameters of its own under a submodule's name, and einsum."""

import torch
from torch import nn


class Affine(nn.Module):
    def __init__(self, d_in, d_out):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(d_out, d_in) * d_in**-0.5)
        self.bias = nn.Parameter(torch.zeros(d_out))


class LinearProjector(nn.Module):
    def __init__(self, d_visual, d_text):
        super().__init__()
        self.linear = Affine(d_visual, d_text)

    def forward(self, visual):
        return torch.einsum("bvd,td->bvt", visual, self.linear.weight) + self.linear.bias
