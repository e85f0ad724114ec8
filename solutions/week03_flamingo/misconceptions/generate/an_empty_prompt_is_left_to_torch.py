"""Misconception: An empty prompt will show by itself.

Tell: An empty prompt ends in an error from somewhere inside. Say before anything is read that it has 0
tokens.
Caught by: what_cannot_be_read_is_refused, an_empty_prompt_is_an_error
"""

import torch
from einops import rearrange, repeat


def generate(model, ids, visual, image_id, end_id, n_new):
    tags = int((ids == image_id).sum())
    if tags != len(visual):
        raise ValueError(f"{tags} tags and {len(visual)} pictures; each tag needs one.")
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
