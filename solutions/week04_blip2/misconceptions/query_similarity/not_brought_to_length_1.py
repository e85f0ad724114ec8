"""Misconception: A dot product is a cosine.

Tell: Your diagonal is not 1: these are dot products. Loud queries look alike to everybody.
Caught by: a_query_is_like_itself, right_angles_are_not_alike, values_are_those_of_the_definition,
the_table_is_that_of_a_likeness, loudness_changes_nothing, likeness_keeps_its_sign_until_the_mean,
only_the_order_of_queries_shows, it_looks_and_does_not_touch
"""

import torch


def query_similarity(read):
    if not len(read):
        raise ValueError("there are 0 pictures; give at least one.")
    return torch.einsum("bid,bjd->ij", read, read) / len(read)
