"""Misconception: alpha starts at a random number.

Tell: Your alpha is drawn at random when the block is built, as weights usually are. This one is special:
only at exactly 0 does the block leave the frozen model as it was.
Caught by: a_new_block_returns_the_text, a_closed_gate_changes_nothing, at_first_only_alpha_learns
"""

import torch
from torch import nn

from course_lib.gated_cross_attention import GatedCrossAttention as Reference


class GatedCrossAttention(Reference):
    def __init__(self, attention, d_text):
        super().__init__(attention, d_text)
        self.alpha = nn.Parameter(torch.randn(1))
