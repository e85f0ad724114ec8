"""Misconception: The feed-forward comes before the attention.

Tell: You run the feed-forward first and read afterwards, so what is read is thought over by nobody until
the next layer. First read, then the feed-forward.
Caught by: closed_gates_return_the_text, open_gates_add_both_branches, negative_gates_take_away,
the_feed_forward_hears_what_was_read, the_mask_arrives_and_nothing_is_written_into,
a_token_without_a_picture_still_goes_through_the_feed_forward, at_first_only_the_gates_learn
"""

from course_lib.gated_block import GatedBlock as Reference


class GatedBlock(Reference):
    def forward(self, text, visual, media_mask=None):
        text = text + self.alpha_dense.tanh() * self.mlp(self.post_attention_layernorm(text))
        read = self.cross_attn(self.input_layernorm(text), visual, media_mask)
        return text + self.alpha_cross_attn.tanh() * read
