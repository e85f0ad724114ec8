"""Misconception: One alpha serves both branches.

Tell: Both of your branches go through alpha_cross_attn, and alpha_dense does nothing. A block may want to
read and not think, or think and not read: each branch has its own number.
Caught by: each_gate_opens_a_branch_of_its_own, a_negative_gate_pushes_the_other_way,
closed_gates_return_the_text, open_gates_add_both_branches, each_gate_shuts_its_own_branch,
negative_gates_take_away, the_feed_forward_hears_what_was_read, only_what_is_read_is_normed,
the_mask_arrives_and_nothing_is_written_into,
a_token_without_a_picture_still_goes_through_the_feed_forward, at_first_only_the_gates_learn
"""

from course_lib.gated_block import GatedBlock as Reference


class GatedBlock(Reference):
    def forward(self, text, visual, media_mask=None):
        read = self.cross_attn(self.input_layernorm(text), visual, media_mask)
        text = text + self.alpha_cross_attn.tanh() * read
        return text + self.alpha_cross_attn.tanh() * self.mlp(self.post_attention_layernorm(text))
