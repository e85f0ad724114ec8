"""Misconception: The names of the norms do not matter.

Tell: Your two norms have changed places. post_attention_layernorm comes, as it says, after the attention:
in front of the feed-forward.
Caught by: closed_gates_return_the_text, open_gates_add_both_branches, each_gate_shuts_its_own_branch,
negative_gates_take_away, the_feed_forward_hears_what_was_read, only_what_is_read_is_normed,
the_mask_arrives_and_nothing_is_written_into,
a_token_without_a_picture_still_goes_through_the_feed_forward, at_first_only_the_gates_learn
"""

from course_lib.gated_block import GatedBlock as Reference


class GatedBlock(Reference):
    def forward(self, text, visual, media_mask=None):
        read = self.cross_attn(self.post_attention_layernorm(text), visual, media_mask)
        text = text + self.alpha_cross_attn.tanh() * read
        return text + self.alpha_dense.tanh() * self.mlp(self.input_layernorm(text))
