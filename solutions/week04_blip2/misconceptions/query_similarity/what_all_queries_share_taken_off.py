"""Misconception: What all queries of a picture share is not theirs, and is taken off.

Tell: You take the mean query off first. Then even queries that are nearly copies look different; and
that they are nearly copies is what this number should show.
Caught by: right_angles_are_not_alike, values_are_those_of_the_definition, the_table_is_that_of_a_likeness,
loudness_changes_nothing, likeness_keeps_its_sign_until_the_mean, only_the_order_of_queries_shows,
it_looks_and_does_not_touch
"""

import torch.nn.functional as F


def query_similarity(read):
    if not len(read):
        raise ValueError("there are 0 pictures; give at least one.")
    unit = F.normalize(read - read.mean(dim=1, keepdim=True), dim=-1)
    return (unit @ unit.mT).mean(dim=0)
