"""Misconception: The sign that ends a document is already outside it.

Tell: Your sign reads none. The model has to decide that its text is finished while it still looks at the
picture: the sign reads, and what follows it does not.
Caught by: what_follows_an_end_reads_none, the_sign_itself_still_reads, an_end_is_what_end_id_says
"""

import torch


def media_index(ids, image_id, end_id=None):
    is_tag = ids == image_id
    index = is_tag.long().cumsum(dim=1)
    if end_id is None:
        return index
    is_end = (ids == end_id).long()
    ended = is_end.cumsum(dim=1)
    ended_at_tag = torch.where(is_tag, ended, 0).cummax(dim=1).values
    return torch.where(ended == ended_at_tag, index, 0)
