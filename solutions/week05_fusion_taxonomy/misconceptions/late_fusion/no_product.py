"""Misconception: Two vectors side by side are all a head needs.

Tell: Your head reads two vectors and no product. Side by side, what a feature of the picture is worth
cannot depend on the question before the hidden layer; the product says so at once.

Caught by: the_head_reads_both_and_their_product, hidden_tokens_count_for_nothing,
the_order_of_the_tokens_changes_nothing, twice_the_tokens_say_the_same, nothing_kept_is_a_mean_of_zeros,
a_pair_is_judged_by_itself, gradients_reach_both_sides, what_is_given_stays
"""

import torch
from torch import nn

from course_lib.late_fusion import LateFusion as Reference
from course_lib.late_fusion import masked_mean


class LateFusion(Reference):
    def __init__(self, d_visual, d_text, d_shared, n_answers):
        super().__init__(d_visual, d_text, d_shared, n_answers)
        self.head[0] = nn.Linear(2 * d_shared, d_shared)

    def forward(self, visual, text, visual_mask=None, text_mask=None):
        seen = self.picture(masked_mean(visual, visual_mask))
        asked = self.question(masked_mean(text, text_mask))
        return self.head(torch.cat([seen, asked], dim=-1))
