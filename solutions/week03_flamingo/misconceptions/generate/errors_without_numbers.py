"""Misconception: An error only has to be an error.

Tell: Your error does not say how many tags and how many pictures there were. With the two numbers, one
knows at once which side to look at.
Caught by: what_cannot_be_read_is_refused, tags_and_pictures_are_counted
"""

import torch
from einops import rearrange, repeat


def generate(model, ids, visual, image_id, end_id, n_new):
    tags = int((ids == image_id).sum())
    if not len(ids):
        raise ValueError("the prompt has 0 tokens")
    if tags != len(visual):
        raise ValueError("tags and pictures do not match")
    index = (ids == image_id).cumsum(dim=0)
    own = rearrange(index, "t -> t 1") == torch.arange(1, tags + 1)
    mask = repeat(own, "t n -> 1 t (n v)", v=visual.shape[1])
    row = rearrange(visual, "n v d -> 1 (n v) d")
    new, cache, written = ids[None], None, []
    while len(written) < n_new:
        logits, cache = model(new, row, mask, cache)
        last = logits[0, -1].clone()
        last[image_id] = -torch.inf
        best = int(last.argmax())
        if best == end_id:
            break
        written.append(best)
        new, mask = torch.tensor([[best]]), mask[:, -1:]
    return written
