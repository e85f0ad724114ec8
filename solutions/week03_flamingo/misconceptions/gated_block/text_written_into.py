"""Misconception: The text may be changed in place.

Tell: Your values are right, and the caller's text has been changed on the way: `text += ...` writes into
the tensor that came in. Where a gradient is needed torch forbids it, and elsewhere it spoils what others
still hold. Make a new tensor.
Caught by: the_mask_arrives_and_nothing_is_written_into, at_first_only_the_gates_learn
"""

from course_lib.gated_block import GatedBlock as Reference


class GatedBlock(Reference):
    def forward(self, text, visual, media_mask=None):
        read = self.cross_attn(self.input_layernorm(text), visual, media_mask)
        text += self.alpha_cross_attn.tanh() * read
        text += self.alpha_dense.tanh() * self.mlp(self.post_attention_layernorm(text))
        return text
