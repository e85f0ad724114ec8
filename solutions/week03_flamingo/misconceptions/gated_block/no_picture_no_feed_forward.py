"""Misconception: A token that reads no picture skips the whole block.

Tell: Where a token keeps nothing, you skip the feed-forward, too. Only what is read depends on the mask:
the feed-forward is for every token, with a picture or without.
Caught by: a_token_without_a_picture_still_goes_through_the_feed_forward
"""

from course_lib.gated_block import GatedBlock as Reference


class GatedBlock(Reference):
    def forward(self, text, visual, media_mask=None):
        read = self.cross_attn(self.input_layernorm(text), visual, media_mask)
        text = text + self.alpha_cross_attn.tanh() * read
        thought = self.alpha_dense.tanh() * self.mlp(self.post_attention_layernorm(text))
        if media_mask is not None:
            thought = thought * media_mask.any(dim=2, keepdim=True)
        return text + thought
