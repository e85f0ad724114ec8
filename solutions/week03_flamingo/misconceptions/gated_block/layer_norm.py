"""Misconception: A LayerNorm without a bias is an RMSNorm.

Tell: Your norms are LayerNorms, which take the mean away first. The names and sizes of the weights are
the same, so that a checkpoint loads without a word; the values are not. The language model here is of the
Llama family: nn.RMSNorm.
Caught by: closed_gates_return_the_text, open_gates_add_both_branches, each_gate_shuts_its_own_branch,
negative_gates_take_away, the_feed_forward_hears_what_was_read, only_what_is_read_is_normed,
the_mask_arrives_and_nothing_is_written_into,
a_token_without_a_picture_still_goes_through_the_feed_forward, at_first_only_the_gates_learn
"""

from torch import nn

from course_lib.gated_block import GatedBlock as Reference


class GatedBlock(Reference):
    def __init__(self, attention, feed_forward, d_text):
        super().__init__(attention, feed_forward, d_text)
        self.input_layernorm = nn.LayerNorm(d_text, eps=1e-6, bias=False)
        self.post_attention_layernorm = nn.LayerNorm(d_text, eps=1e-6, bias=False)
