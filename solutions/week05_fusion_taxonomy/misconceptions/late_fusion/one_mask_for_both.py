"""Misconception: One mask says what is real.

Tell: You pool the question with the mask of the picture. Each side has its own mask, of its own length.

Caught by: a_hidden_token_changes_no_logit, hidden_tokens_count_for_nothing,
the_order_of_the_tokens_changes_nothing, twice_the_tokens_say_the_same, nothing_kept_is_a_mean_of_zeros,
a_pair_is_judged_by_itself, gradients_reach_both_sides, what_is_given_stays
"""

import torch

from course_lib.late_fusion import LateFusion as Reference
from course_lib.late_fusion import masked_mean


class LateFusion(Reference):
    def forward(self, visual, text, visual_mask=None, text_mask=None):
        seen = self.picture(masked_mean(visual, visual_mask))
        asked = self.question(masked_mean(text, visual_mask))
        return self.head(torch.cat([seen, asked, seen * asked], dim=-1))
