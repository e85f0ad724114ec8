"""Misconception: A tag comes before its picture, so it cannot read it yet.

Tell: Your count goes up behind the tag instead of at it, so a tag reads the picture of the tag before. The
tag stands for its own picture and reads it: for t I t t I t the row is 0 1 1 1 2 2.
Caught by: a_row_of_two_pictures_is_numbered, what_follows_an_end_reads_none, the_latest_tag_counts,
every_tag_is_a_picture_of_its_own, each_row_is_counted_on_its_own, the_count_goes_on_behind_an_end,
an_end_is_what_end_id_says, the_ids_are_left_as_they_were
"""

import torch


def media_index(ids, image_id, end_id=None):
    is_tag = ids == image_id
    index = is_tag.long().cumsum(dim=1) - is_tag.long()
    if end_id is None:
        return index
    is_end = (ids == end_id).long()
    ended = is_end.cumsum(dim=1) - is_end
    ended_at_tag = torch.where(is_tag, ended, 0).cummax(dim=1).values
    return torch.where(ended == ended_at_tag, index, 0)
