"""Misconception: A mask is 0 where it keeps and minus infinity where it hides.

Tell: You return what is added to the scores. Here masks are boolean, True = may see.

Caught by: there_is_a_table_for_each_row, the_four_quarters_are_right, no_real_token_sees_padding,
each_token_sees_what_it_may, the_prefix_sees_all_of_itself, nothing_before_an_answer_sees_it,
padding_is_seen_by_nobody, no_row_is_empty, a_boolean_table_and_nothing_changed
"""

import torch


def prefix_lm_mask(keep, is_prefix):
    if keep.shape != is_prefix.shape:
        raise ValueError(f"keep is {tuple(keep.shape)}, is_prefix is {tuple(is_prefix.shape)}.")
    b, s = keep.shape
    earlier = torch.ones(s, s, dtype=torch.bool).tril()
    itself = torch.eye(s, dtype=torch.bool)
    both = is_prefix[:, :, None] & is_prefix[:, None, :]
    sees = ((earlier | both) & keep[:, None, :]) | itself
    return torch.zeros(b, s, s).masked_fill(~sees, -torch.inf)
