"""Misconception: A query's likeness with itself says nothing, so it is set to 0.

Tell: You set the diagonal to 0. It is 1, and leaving it out of a mean is for whoever takes that mean.
Caught by: a_query_is_like_itself, right_angles_are_not_alike, values_are_those_of_the_definition,
the_table_is_that_of_a_likeness, loudness_changes_nothing, likeness_keeps_its_sign_until_the_mean,
it_looks_and_does_not_touch
"""

import torch
import torch.nn.functional as F


def query_similarity(read):
    if not len(read):
        raise ValueError("there are 0 pictures; give at least one.")
    unit = F.normalize(read, dim=-1)
    table = (unit @ unit.mT).mean(dim=0)
    return table * (1 - torch.eye(len(table)))
