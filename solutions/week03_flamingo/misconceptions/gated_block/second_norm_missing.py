"""Misconception: The feed-forward takes the text as it is.

Tell: Your feed-forward gets raw text, whose size grows from layer to layer. post_attention_layernorm
stands in front of it, and only in front of it.
Caught by: closed_gates_return_the_text, open_gates_add_both_branches, each_gate_shuts_its_own_branch,
negative_gates_take_away, the_feed_forward_hears_what_was_read, only_what_is_read_is_normed,
the_mask_arrives_and_nothing_is_written_into,
a_token_without_a_picture_still_goes_through_the_feed_forward, at_first_only_the_gates_learn
"""

from course_lib.gated_block import GatedBlock as Reference


class GatedBlock(Reference):
    def forward(self, text, visual, media_mask=None):
        read = self.cross_attn(self.input_layernorm(text), visual, media_mask)
        text = text + self.alpha_cross_attn.tanh() * read
        return text + self.alpha_dense.tanh() * self.mlp(text)
