"""Misconception: The pictures can be laid end to end, and one cosine taken of it all.

Tell: You take one cosine over all pictures at once, so a loud picture counts for more. Take it in each
picture, then average.
Caught by: right_angles_are_not_alike, values_are_those_of_the_definition, the_table_is_that_of_a_likeness,
loudness_changes_nothing, likeness_keeps_its_sign_until_the_mean, only_the_order_of_queries_shows,
it_looks_and_does_not_touch
"""

import torch.nn.functional as F
from einops import rearrange


def query_similarity(read):
    if not len(read):
        raise ValueError("there are 0 pictures; give at least one.")
    unit = F.normalize(rearrange(read, "b q d -> q (b d)"), dim=-1)
    return unit @ unit.T
