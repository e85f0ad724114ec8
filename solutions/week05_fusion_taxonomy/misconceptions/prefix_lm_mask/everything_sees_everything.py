"""Misconception: A prefix-LM is bidirectional.

Tell: Your answer sees itself ahead: every token sees all that is real. It then copies what it is asked
to predict, the loss falls to nothing, and nothing is learned.

Caught by: the_four_quarters_are_right, each_token_sees_what_it_may, nothing_before_an_answer_sees_it
"""

import torch


def prefix_lm_mask(keep, is_prefix):
    if keep.shape != is_prefix.shape:
        raise ValueError(f"keep is {tuple(keep.shape)}, is_prefix is {tuple(is_prefix.shape)}.")
    s = keep.shape[1]
    itself = torch.eye(s, dtype=torch.bool)
    return keep[:, None, :] | itself
