"""Misconception: What is compared is one picture with another.

Tell: You compare pictures, for each query: your table is b by b. The question is whether two queries read
the same in the same picture.
Caught by: a_query_is_like_itself, right_angles_are_not_alike, values_are_those_of_the_definition,
the_table_is_that_of_a_likeness, loudness_changes_nothing, likeness_keeps_its_sign_until_the_mean,
only_the_order_of_queries_shows, it_looks_and_does_not_touch
"""

import torch
import torch.nn.functional as F


def query_similarity(read):
    if not len(read):
        raise ValueError("there are 0 pictures; give at least one.")
    unit = F.normalize(read, dim=-1)
    return torch.einsum("aqd,bqd->ab", unit, unit) / read.shape[1]
