"""Misconception: A gate is never negative.

Tell: Your gates are |tanh(alpha)|. The sign is the model's to choose, and trained gates end up on either
side of 0; papers plot the absolute value only to show how far a gate has opened. Worse, at 0 the absolute
value has a corner, where torch gives a gradient of 0, and such a gate never opens.
Caught by: a_negative_gate_pushes_the_other_way, open_gates_add_both_branches, negative_gates_take_away,
a_token_without_a_picture_still_goes_through_the_feed_forward, at_first_only_the_gates_learn
"""

from course_lib.gated_block import GatedBlock as Reference


class GatedBlock(Reference):
    def forward(self, text, visual, media_mask=None):
        read = self.cross_attn(self.input_layernorm(text), visual, media_mask)
        text = text + self.alpha_cross_attn.tanh().abs() * read
        return text + self.alpha_dense.tanh().abs() * self.mlp(self.post_attention_layernorm(text))
