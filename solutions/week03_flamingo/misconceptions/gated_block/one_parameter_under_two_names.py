"""Misconception: The two alphas are one parameter.

Tell: Your two alphas are one and the same parameter under two names: `self.alpha_cross_attn =
self.alpha_dense = ...` makes one tensor, not two. Each gate needs an nn.Parameter of its own.
Caught by: each_gate_opens_a_branch_of_its_own, a_negative_gate_pushes_the_other_way,
closed_gates_return_the_text, open_gates_add_both_branches, each_gate_shuts_its_own_branch,
negative_gates_take_away, the_feed_forward_hears_what_was_read, only_what_is_read_is_normed,
the_mask_arrives_and_nothing_is_written_into,
a_token_without_a_picture_still_goes_through_the_feed_forward, at_first_only_the_gates_learn
"""

from course_lib.gated_block import GatedBlock as Reference


class GatedBlock(Reference):
    def __init__(self, attention, feed_forward, d_text):
        super().__init__(attention, feed_forward, d_text)
        self.alpha_dense = self.alpha_cross_attn
