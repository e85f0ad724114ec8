"""Misconception: Once all vectors have length 1, their mean over pictures can be compared.

Tell: You average the vectors over the pictures, after bringing them to length 1, and then multiply. The
product of two means is not the mean of the products.
Caught by: right_angles_are_not_alike, values_are_those_of_the_definition, the_table_is_that_of_a_likeness,
loudness_changes_nothing, likeness_keeps_its_sign_until_the_mean, only_the_order_of_queries_shows,
it_looks_and_does_not_touch
"""

import torch.nn.functional as F


def query_similarity(read):
    if not len(read):
        raise ValueError("there are 0 pictures; give at least one.")
    unit = F.normalize(F.normalize(read, dim=-1).mean(dim=0), dim=-1)
    return unit @ unit.T
