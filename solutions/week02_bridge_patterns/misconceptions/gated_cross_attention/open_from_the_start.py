"""Misconception: alpha starts at 1.

Tell: Your gate is open when the block is built: alpha starts at 1, and tanh(1) is 0.76. The frozen model
would hear an untrained voice from the first step. Start at 0.
Caught by: a_new_block_returns_the_text, a_closed_gate_changes_nothing, at_first_only_alpha_learns
"""

import torch
from torch import nn

from course_lib.gated_cross_attention import GatedCrossAttention as Reference


class GatedCrossAttention(Reference):
    def __init__(self, attention, d_text):
        super().__init__(attention, d_text)
        self.alpha = nn.Parameter(torch.ones(1))
