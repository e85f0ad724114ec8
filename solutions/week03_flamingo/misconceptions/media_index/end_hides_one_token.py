"""Misconception: Only the token right behind the sign reads none.

Tell: You hide one token behind the sign, and the one after it reads the old picture again. Nothing is read
from the sign up to the next tag, however long that takes.
Caught by: behind_the_end_nothing_is_read, the_sign_itself_still_reads, an_end_is_what_end_id_says
"""

import torch


def media_index(ids, image_id, end_id=None):
    is_tag = ids == image_id
    index = is_tag.long().cumsum(dim=1)
    if end_id is None:
        return index
    behind = torch.zeros_like(is_tag)
    behind[:, 1:] = (ids == end_id)[:, :-1]
    return torch.where(behind & ~is_tag, 0, index)
