"""Misconception: The text is normed for good between the branches.

Tell: Between your two branches the text is normed and stays so: the feed-forward is added to the normed
text. The first line is right; do the second in the same way, with a norm for the branch only.
Caught by: a_new_block_returns_the_text, a_negative_gate_pushes_the_other_way,
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
        text = self.post_attention_layernorm(text)
        return text + self.alpha_dense.tanh() * self.mlp(text)
