"""Misconception: The first picture has number 0.

Tell: You count pictures from 0, so nothing is left to say none: text before the first tag gets -1. Here 0
says none and the first picture is 1.
Caught by: a_row_of_two_pictures_is_numbered, what_follows_an_end_reads_none, the_latest_tag_counts,
text_before_the_first_tag_reads_none, every_tag_is_a_picture_of_its_own, each_row_is_counted_on_its_own,
behind_the_end_nothing_is_read, the_sign_itself_still_reads, the_count_goes_on_behind_an_end,
an_end_is_what_end_id_says, the_ids_are_left_as_they_were
"""

import torch


def media_index(ids, image_id, end_id=None):
    is_tag = ids == image_id
    index = is_tag.long().cumsum(dim=1) - 1
    if end_id is None:
        return index
    is_end = (ids == end_id).long()
    ended = is_end.cumsum(dim=1) - is_end
    ended_at_tag = torch.where(is_tag, ended, 0).cummax(dim=1).values
    return torch.where(ended == ended_at_tag, index, 0)
