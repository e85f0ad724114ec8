"""Misconception: The mean runs over all tokens; masks are for attention.

Tell: Your mean counts padding: both masks arrive and neither is used. A short question is then diluted
by whatever fills up its row.

Caught by: a_hidden_token_changes_no_logit, hidden_tokens_count_for_nothing,
nothing_kept_is_a_mean_of_zeros, gradients_reach_both_sides
"""

import torch

from course_lib.late_fusion import LateFusion as Reference


def pooled(tokens, keep):
    return tokens.mean(dim=1)


class LateFusion(Reference):
    def forward(self, visual, text, visual_mask=None, text_mask=None):
        seen = self.picture(pooled(visual, visual_mask))
        asked = self.question(pooled(text, text_mask))
        return self.head(torch.cat([seen, asked, seen * asked], dim=-1))
