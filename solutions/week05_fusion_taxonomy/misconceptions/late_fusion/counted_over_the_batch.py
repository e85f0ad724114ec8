"""Misconception: The number of kept tokens is the sum of the mask.

Tell: You divide by the tokens kept in the whole batch. Each row has its own number: sum the mask over
tokens only.

Caught by: the_head_reads_both_and_their_product, hidden_tokens_count_for_nothing,
nothing_kept_is_a_mean_of_zeros, a_pair_is_judged_by_itself, gradients_reach_both_sides
"""

import torch

from course_lib.late_fusion import LateFusion as Reference


def pooled(tokens, keep):
    if keep is None:
        keep = tokens.new_ones(tokens.shape[:2])
    return (tokens * keep[..., None]).sum(dim=1) / keep.sum().clamp(min=1)


class LateFusion(Reference):
    def forward(self, visual, text, visual_mask=None, text_mask=None):
        seen = self.picture(pooled(visual, visual_mask))
        asked = self.question(pooled(text, text_mask))
        return self.head(torch.cat([seen, asked, seen * asked], dim=-1))
