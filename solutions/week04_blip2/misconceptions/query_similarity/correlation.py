"""Misconception: Each vector is centred first.

Tell: You take the mean off each vector before you compare: that is a correlation. A cosine leaves the
vector where it is.
Caught by: right_angles_are_not_alike, values_are_those_of_the_definition, the_table_is_that_of_a_likeness,
loudness_changes_nothing, only_the_order_of_queries_shows, it_looks_and_does_not_touch
"""

import torch.nn.functional as F


def query_similarity(read):
    if not len(read):
        raise ValueError("there are 0 pictures; give at least one.")
    unit = F.normalize(read - read.mean(dim=-1, keepdim=True), dim=-1)
    return (unit @ unit.mT).mean(dim=0)
