"""Misconception: Both branches start from the same text.

Tell: Your branches stand side by side: the feed-forward works on the text as it came in, and knows
nothing of the picture. It comes second: its norm and its input are those of the text that has read.
Caught by: closed_gates_return_the_text, open_gates_add_both_branches, negative_gates_take_away,
the_feed_forward_hears_what_was_read, the_mask_arrives_and_nothing_is_written_into,
a_token_without_a_picture_still_goes_through_the_feed_forward, at_first_only_the_gates_learn
"""

from course_lib.gated_block import GatedBlock as Reference


class GatedBlock(Reference):
    def forward(self, text, visual, media_mask=None):
        read = self.cross_attn(self.input_layernorm(text), visual, media_mask)
        thought = self.mlp(self.post_attention_layernorm(text))
        return text + self.alpha_cross_attn.tanh() * read + self.alpha_dense.tanh() * thought
