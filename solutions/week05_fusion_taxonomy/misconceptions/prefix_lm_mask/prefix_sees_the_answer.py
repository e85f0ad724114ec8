"""Misconception: Who is of the prefix sees everything.

Tell: Your prefix sees the answer, and from the prefix the answer's next word comes back to the place
where it is asked for. Both have to be of the prefix.

Caught by: the_four_quarters_are_right, each_token_sees_what_it_may, nothing_before_an_answer_sees_it
"""

import torch


def prefix_lm_mask(keep, is_prefix):
    if keep.shape != is_prefix.shape:
        raise ValueError(f"keep is {tuple(keep.shape)}, is_prefix is {tuple(is_prefix.shape)}.")
    s = keep.shape[1]
    earlier = torch.ones(s, s, dtype=torch.bool).tril()
    itself = torch.eye(s, dtype=torch.bool)
    both = is_prefix[:, :, None]
    return ((earlier | both) & keep[:, None, :]) | itself
