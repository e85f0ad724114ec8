"""Misconception: A slice of the prompt is a tensor of one's own.

Tell: You put each new token into ids[-1:], which is a window onto the prompt: the caller finds another
last word in it. Make a new tensor.
Caught by: the_prompt_stays_as_it_was
"""

import torch
from einops import rearrange, repeat


def generate(model, ids, visual, image_id, end_id, n_new):
    tags = int((ids == image_id).sum())
    if not len(ids) or tags != len(visual):
        raise ValueError(f"{len(ids)} tokens, {tags} tags and {len(visual)} pictures; each tag needs one.")
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
        new, mask = ids[None, -1:], mask[:, -1:]
        new[0, 0] = best
    return written
