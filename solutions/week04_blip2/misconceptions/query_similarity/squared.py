"""Misconception: A cosine is squared before it is averaged.

Tell: Your numbers are squares. That loses the sign, and makes 0.5 look like 0.25.
Caught by: right_angles_are_not_alike, values_are_those_of_the_definition, the_table_is_that_of_a_likeness,
loudness_changes_nothing, likeness_keeps_its_sign_until_the_mean, only_the_order_of_queries_shows,
it_looks_and_does_not_touch
"""

import torch.nn.functional as F


def query_similarity(read):
    if not len(read):
        raise ValueError("there are 0 pictures; give at least one.")
    unit = F.normalize(read, dim=-1)
    return (unit @ unit.mT).square().mean(dim=0)
