"""Misconception: Averaging first and comparing afterwards is the same.

Tell: You average what a query read over the pictures and compare the averages. Queries that differ in
every picture can agree on average: what all pictures share is then all that is compared.
Caught by: right_angles_are_not_alike, values_are_those_of_the_definition, the_table_is_that_of_a_likeness,
loudness_changes_nothing, likeness_keeps_its_sign_until_the_mean, only_the_order_of_queries_shows,
it_looks_and_does_not_touch
"""

import torch.nn.functional as F


def query_similarity(read):
    if not len(read):
        raise ValueError("there are 0 pictures; give at least one.")
    unit = F.normalize(read.mean(dim=0), dim=-1)
    return unit @ unit.T
