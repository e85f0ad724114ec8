"""Misconception: Tags and pictures will be as many.

Tell: You do not compare the number of tags with that of pictures. A spare picture goes by in silence, and
a missing one shows as an error of somebody else's.
Caught by: what_cannot_be_read_is_refused, tags_and_pictures_are_counted
"""

import torch
from einops import rearrange, repeat


def generate(model, ids, visual, image_id, end_id, n_new):
    tags = len(visual)
    if not len(ids):
        raise ValueError(f"the prompt has {len(ids)} tokens; give at least one.")
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
