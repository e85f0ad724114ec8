"""Misconception: Gates and branches both start at 0.

Tell: You set the weights of the branches to zero as well as the gates. Each of the two gets its gradient
through the other, so with both at 0 neither will ever move. One zero is enough.
Caught by: a_new_block_returns_the_text, each_gate_opens_a_branch_of_its_own,
at_first_only_the_gates_learn
"""

from torch import nn

from course_lib.gated_block import GatedBlock as Reference


class GatedBlock(Reference):
    def __init__(self, attention, feed_forward, d_text):
        super().__init__(attention, feed_forward, d_text)
        for part in (attention, feed_forward):
            for weight in part.parameters():
                nn.init.zeros_(weight)
