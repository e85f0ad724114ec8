"""Misconception: Reading everything again is as good.

Tell: What you write is right, and every call reads the whole row again: 7 tokens and 8 new ones cost 84
readings instead of 14. Hand the cache on, and only the newest token with it.
Caught by: new_tokens_can_see_the_picture, each_token_is_read_once
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
    new, written = ids[None], []
    while len(written) < n_new:
        logits, _ = model(new, row, mask, None)
        last = logits[0, -1].clone()
        last[image_id] = -torch.inf
        best = int(last.argmax())
        if best == end_id:
            break
        written.append(best)
        new, mask = torch.cat([new, torch.tensor([[best]])], dim=1), torch.cat([mask, mask[:, -1:]], dim=1)
    return written
