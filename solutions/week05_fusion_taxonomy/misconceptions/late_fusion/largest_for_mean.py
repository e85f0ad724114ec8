"""Misconception: Pooling means taking the largest of each feature.

Tell: You take the largest value of each feature, not the mean. One loud patch then speaks for the
picture.

Caught by: the_head_reads_both_and_their_product, hidden_tokens_count_for_nothing,
nothing_kept_is_a_mean_of_zeros, gradients_reach_both_sides
"""

import torch

from course_lib.late_fusion import LateFusion as Reference


def pooled(tokens, keep):
    if keep is None:
        return tokens.amax(dim=1)
    largest = tokens.masked_fill(~keep[..., None], -torch.inf).amax(dim=1)
    return torch.where(keep.any(dim=1, keepdim=True), largest, 0.0)


class LateFusion(Reference):
    def forward(self, visual, text, visual_mask=None, text_mask=None):
        seen = self.picture(pooled(visual, visual_mask))
        asked = self.question(pooled(text, text_mask))
        return self.head(torch.cat([seen, asked, seen * asked], dim=-1))
