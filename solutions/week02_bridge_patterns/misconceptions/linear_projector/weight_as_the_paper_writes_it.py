"""Misconception: The matrix is stored as d_visual x d_text, as in V W.

Tell: Your matrix is stored as d_visual x d_text, the way a paper writes V W. torch keeps the transpose,
d_text x d_visual, and so does every checkpoint. Why not let nn.Linear hold it?
Caught by: a_token_of_zeros_becomes_the_bias, values_are_those_of_the_definition,
gradients_arrive_at_picture_and_weights
"""

import torch
from torch import nn

from course_lib.projectors import LinearProjector as Reference


class LinearProjector(Reference):
    def __init__(self, d_visual, d_text):
        super().__init__(d_visual, d_text)
        self.linear.weight = nn.Parameter(torch.randn(d_visual, d_text) * d_visual**-0.5)

    def forward(self, visual):
        return visual @ self.linear.weight + self.linear.bias
