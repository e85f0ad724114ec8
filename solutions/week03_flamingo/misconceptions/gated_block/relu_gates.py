"""Misconception: A gate lies between 0 and 1.

Tell: Your gates are cut off below 0. One reads that alpha stays positive; nothing makes it so. A gate of
the wrong sign would be shut for ever, and at 0 torch's relu lets no gradient through, so that no gate
ever opens.
Caught by: a_negative_gate_pushes_the_other_way, open_gates_add_both_branches, negative_gates_take_away,
a_token_without_a_picture_still_goes_through_the_feed_forward, at_first_only_the_gates_learn
"""

from course_lib.gated_block import GatedBlock as Reference


class GatedBlock(Reference):
    def forward(self, text, visual, media_mask=None):
        read = self.cross_attn(self.input_layernorm(text), visual, media_mask)
        text = text + self.alpha_cross_attn.tanh().relu() * read
        return text + self.alpha_dense.tanh().relu() * self.mlp(self.post_attention_layernorm(text))
