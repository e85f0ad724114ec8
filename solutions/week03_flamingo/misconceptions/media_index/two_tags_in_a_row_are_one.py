"""Misconception: Tags side by side belong to one picture.

Tell: You count a run of tags as one picture. Each tag stands for a picture of its own; two pictures with no
word between them are common on web pages.
Caught by: every_tag_is_a_picture_of_its_own, each_row_is_counted_on_its_own,
behind_the_end_nothing_is_read, the_sign_itself_still_reads, the_count_goes_on_behind_an_end
"""

import torch


def media_index(ids, image_id, end_id=None):
    is_tag = ids == image_id
    before = torch.cat([torch.zeros_like(is_tag[:, :1]), is_tag[:, :-1]], dim=1)
    index = (is_tag & ~before).long().cumsum(dim=1)
    if end_id is None:
        return index
    is_end = (ids == end_id).long()
    ended = is_end.cumsum(dim=1) - is_end
    ended_at_tag = torch.where(is_tag, ended, 0).cummax(dim=1).values
    return torch.where(ended == ended_at_tag, index, 0)
