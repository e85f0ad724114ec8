"""Misconception: Pictures are numbered through the batch.

Tell: Your count goes on from one row to the next, so the second row's first picture does not get number 1.
Each row is counted on its own, along dim=1.
Caught by: a_row_of_two_pictures_is_numbered, the_latest_tag_counts, text_before_the_first_tag_reads_none,
every_tag_is_a_picture_of_its_own, each_row_is_counted_on_its_own, behind_the_end_nothing_is_read,
the_sign_itself_still_reads, the_count_goes_on_behind_an_end, an_end_is_what_end_id_says
"""

import torch


def media_index(ids, image_id, end_id=None):
    is_tag = ids == image_id
    index = is_tag.long().flatten().cumsum(dim=0).view_as(ids)
    if end_id is None:
        return index
    is_end = (ids == end_id).long()
    ended = is_end.cumsum(dim=1) - is_end
    ended_at_tag = torch.where(is_tag, ended, 0).cummax(dim=1).values
    return torch.where(ended == ended_at_tag, index, 0)
