"""Misconception: There is one picture, and all text behind it reads it.

Tell: Every token of yours that reads at all reads picture 1, as in a captioning model with a single
picture. Behind the second tag text reads the second.
Caught by: a_row_of_two_pictures_is_numbered, what_follows_an_end_reads_none, the_latest_tag_counts,
every_tag_is_a_picture_of_its_own, each_row_is_counted_on_its_own, behind_the_end_nothing_is_read,
the_sign_itself_still_reads, the_count_goes_on_behind_an_end, an_end_is_what_end_id_says
"""

import torch


def media_index(ids, image_id, end_id=None):
    is_tag = ids == image_id
    index = (is_tag.long().cumsum(dim=1) > 0).long()
    if end_id is None:
        return index
    is_end = (ids == end_id).long()
    ended = is_end.cumsum(dim=1) - is_end
    ended_at_tag = torch.where(is_tag, ended, 0).cummax(dim=1).values
    return torch.where(ended == ended_at_tag, index, 0)
