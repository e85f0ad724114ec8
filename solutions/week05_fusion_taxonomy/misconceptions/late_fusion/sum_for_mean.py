"""Misconception: A sum over tokens is as good as their mean.

Tell: You sum where a mean is asked for. A picture of 144 patches then speaks four times as loud as one
of 36.

Caught by: tokens_all_alike_say_what_one_says, the_head_reads_both_and_their_product,
hidden_tokens_count_for_nothing, twice_the_tokens_say_the_same, nothing_kept_is_a_mean_of_zeros,
gradients_reach_both_sides
"""

import torch

from course_lib.late_fusion import LateFusion as Reference


def pooled(tokens, keep):
    if keep is None:
        return tokens.sum(dim=1)
    return (tokens * keep[..., None]).sum(dim=1)


class LateFusion(Reference):
    def forward(self, visual, text, visual_mask=None, text_mask=None):
        seen = self.picture(pooled(visual, visual_mask))
        asked = self.question(pooled(text, text_mask))
        return self.head(torch.cat([seen, asked, seen * asked], dim=-1))
