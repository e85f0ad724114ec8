"""Misconception: After the first end nothing is read any more.

Tell: In your rows nothing reads behind the first end, not even behind a new tag. A row may hold several
documents: the next tag shows the next picture.
Caught by: what_follows_an_end_reads_none, behind_the_end_nothing_is_read, the_sign_itself_still_reads,
the_count_goes_on_behind_an_end, an_end_is_what_end_id_says
"""

import torch


def media_index(ids, image_id, end_id=None):
    is_tag = ids == image_id
    index = is_tag.long().cumsum(dim=1)
    if end_id is None:
        return index
    is_end = (ids == end_id).long()
    ended = is_end.cumsum(dim=1) - is_end
    return torch.where(ended == 0, index, 0)
