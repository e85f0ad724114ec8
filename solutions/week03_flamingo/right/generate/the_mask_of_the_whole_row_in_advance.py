"""Right: ids and mask are laid out for the longest row there can be, and each call takes a slice."""

import torch
from einops import einsum


def generate(model, ids, visual, image_id, end_id, n_new):
    n, v = visual.shape[:2]
    tags = torch.nonzero(ids == image_id).flatten()
    if len(tags) != n or not len(ids):
        raise ValueError(f"a prompt of {len(ids)} tokens with {len(tags)} tags for {n} pictures")
    place = torch.arange(len(ids) + n_new)
    begins = torch.cat([tags, torch.tensor([len(place)])])
    own = (place[:, None] >= begins[:-1]) & (place[:, None] < begins[1:])
    mask = einsum(own.float(), torch.ones(v), "t n, v -> t n v").flatten(1).bool()[None]
    row = torch.cat([ids, ids.new_full((n_new,), end_id)])[None]
    pictures = visual.flatten(0, 1)[None]
    done, length, cache = 0, len(ids), None
    while length < len(place):
        logits, cache = model(row[:, done:length], pictures, mask[:, done:length], cache)
        done = length
        allowed = torch.arange(logits.shape[-1]) != image_id
        row[0, length] = torch.where(allowed, logits[0, -1], float("-inf")).argmax()
        if row[0, length] == end_id:
            break
        length += 1
    return row[0, len(ids) : length].tolist()
