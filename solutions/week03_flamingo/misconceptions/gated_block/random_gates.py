"""Misconception: The alphas start at random numbers.

Tell: Your alphas are drawn at random when the block is built, as weights usually are. These two are
special: only at exactly 0 does the block leave the frozen model as it was.
Caught by: a_new_block_returns_the_text, closed_gates_return_the_text, at_first_only_the_gates_learn
"""

import torch
from torch import nn

from course_lib.gated_block import GatedBlock as Reference


class GatedBlock(Reference):
    def __init__(self, attention, feed_forward, d_text):
        super().__init__(attention, feed_forward, d_text)
        self.alpha_cross_attn = nn.Parameter(torch.randn(1))
        self.alpha_dense = nn.Parameter(torch.randn(1))
