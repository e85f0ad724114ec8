"""Misconception: A token must not see what it predicts.

Tell: Your tokens do not see themselves. What is predicted at a place is the next word; this one is
known.

Caught by: the_four_quarters_are_right, each_token_sees_what_it_may, the_prefix_sees_all_of_itself,
nothing_before_an_answer_sees_it, no_row_is_empty
"""

import torch


def prefix_lm_mask(keep, is_prefix):
    if keep.shape != is_prefix.shape:
        raise ValueError(f"keep is {tuple(keep.shape)}, is_prefix is {tuple(is_prefix.shape)}.")
    s = keep.shape[1]
    earlier = torch.ones(s, s, dtype=torch.bool).tril()
    itself = torch.eye(s, dtype=torch.bool)
    both = is_prefix[:, :, None] & is_prefix[:, None, :]
    sees = (earlier | both) & keep[:, None, :] & ~itself
    return sees | (itself & ~keep[:, None, :])
