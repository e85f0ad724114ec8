"""Misconception: The first token stands for all, as a class token does.

Tell: You take the first token of each side. That is right for a class token, trained to stand for all;
here the first is a patch in a corner, or the word `what`.

Caught by: a_hidden_token_changes_no_logit, the_head_reads_both_and_their_product,
hidden_tokens_count_for_nothing, the_order_of_the_tokens_changes_nothing, twice_the_tokens_say_the_same,
nothing_kept_is_a_mean_of_zeros, gradients_reach_both_sides
"""

import torch

from course_lib.late_fusion import LateFusion as Reference


def pooled(tokens, keep):
    return tokens[:, 0]


class LateFusion(Reference):
    def forward(self, visual, text, visual_mask=None, text_mask=None):
        seen = self.picture(pooled(visual, visual_mask))
        asked = self.question(pooled(text, text_mask))
        return self.head(torch.cat([seen, asked, seen * asked], dim=-1))
