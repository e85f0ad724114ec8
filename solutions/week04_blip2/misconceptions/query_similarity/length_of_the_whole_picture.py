"""Misconception: One length for a whole picture is enough.

Tell: You divide each picture by one length for all its queries, so a loud query still counts for more.
Caught by: a_query_is_like_itself, right_angles_are_not_alike, values_are_those_of_the_definition,
the_table_is_that_of_a_likeness, loudness_changes_nothing, likeness_keeps_its_sign_until_the_mean,
only_the_order_of_queries_shows, it_looks_and_does_not_touch
"""


def query_similarity(read):
    if not len(read):
        raise ValueError("there are 0 pictures; give at least one.")
    unit = read / read.norm(dim=(1, 2), keepdim=True)
    return (unit @ unit.mT).mean(dim=0)
