"""Misconception: alpha_dense is a tensor that nothing trains.

Tell: Your alpha_dense is a buffer or a plain tensor, so no optimiser sees it, and the feed-forward stays
shut for ever. Wrap it in nn.Parameter.
Caught by: each_gate_opens_a_branch_of_its_own, at_first_only_the_gates_learn
"""

import torch

from course_lib.gated_block import GatedBlock as Reference


class GatedBlock(Reference):
    def __init__(self, attention, feed_forward, d_text):
        super().__init__(attention, feed_forward, d_text)
        del self.alpha_dense
        self.register_buffer("alpha_dense", torch.zeros(1))
