"""Misconception: output = FFN(text + tanh(alpha) * cross-attention).

Tell: Your output is the feed-forward of the sum, as one summary of this block has it. Then no text gets
past the feed-forward, which is new and untrained, and there is no second gate. The feed-forward is added,
through alpha_dense.
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
        return self.mlp(self.post_attention_layernorm(text))
