"""Misconception: The mask is taken and not handed on.

Tell: Your block takes visual_mask and calls the attention without it, so hidden tokens are read like
real ones. Hand it on as the third argument.
Caught by: the_mask_arrives_at_the_attention
"""

from course_lib.gated_cross_attention import GatedCrossAttention as Reference


class GatedCrossAttention(Reference):
    def forward(self, text, visual, visual_mask=None):
        return text + self.alpha.tanh() * self.attention(self.norm(text), visual)
