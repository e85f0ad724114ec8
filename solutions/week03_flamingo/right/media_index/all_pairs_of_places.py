"""Right: which places each place looks back to, as a triangle of pairs."""

import torch


def media_index(ids, image_id, end_id=None):
    t = ids.shape[1]
    up_to = torch.ones(t, t, dtype=torch.long).tril()  # i looks back to j, itself included
    index = torch.einsum("ij,bj->bi", up_to, (ids == image_id).long())
    if end_id is None:
        return index
    places = torch.arange(1, t + 1)
    tag = torch.where(ids == image_id, places, 0)
    end = torch.where(ids == end_id, places, 0)
    latest_tag = (tag[:, None, :] * up_to).amax(dim=2)
    latest_end = (end[:, None, :] * up_to.tril(-1)).amax(dim=2)
    return index * (latest_tag >= latest_end)
