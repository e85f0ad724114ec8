"""Misconception: A gate that is nearly closed is closed.

Tell: Your gates start at a small number instead of 0. Small is not nothing: the frozen model is another
one from the first step, in every layer a little. At exactly 0 it is the same to the last bit, and the
gates learn all the same.
Caught by: a_new_block_returns_the_text, closed_gates_return_the_text, at_first_only_the_gates_learn
"""

import torch
from torch import nn

from course_lib.gated_block import GatedBlock as Reference


class GatedBlock(Reference):
    def __init__(self, attention, feed_forward, d_text):
        super().__init__(attention, feed_forward, d_text)
        self.alpha_cross_attn = nn.Parameter(torch.full((1,), 0.01))
        self.alpha_dense = nn.Parameter(torch.full((1,), 0.01))
