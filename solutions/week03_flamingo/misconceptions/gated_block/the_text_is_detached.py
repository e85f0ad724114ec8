"""Misconception: The block learns, so the text needs no gradient.

Tell: What your branches read is cut off from the text it was made of. The language model is frozen, but
the blocks below this one are not: their gradient has to come through here, by the branches as well as
past them.
Caught by: at_first_only_the_gates_learn
"""

from course_lib.gated_block import GatedBlock as Reference


class GatedBlock(Reference):
    def forward(self, text, visual, media_mask=None):
        read = self.cross_attn(self.input_layernorm(text.detach()), visual, media_mask)
        text = text + self.alpha_cross_attn.tanh() * read
        return text + self.alpha_dense.tanh() * self.mlp(self.post_attention_layernorm(text.detach()))
