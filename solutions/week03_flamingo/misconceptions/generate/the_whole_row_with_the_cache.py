"""Misconception: The model is given the whole row each time, and the cache besides.

Tell: You hand over the whole row together with the cache, so that everything is read twice, then three
times. With a cache, only what is new goes in.
Caught by: each_token_is_the_likeliest, new_tokens_can_see_the_picture, the_cache_changes_nothing,
each_token_is_read_once, writing_stops_at_the_end, the_tag_is_never_written, the_prompt_stays_as_it_was,
tags_and_pictures_are_counted
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
        new, mask = torch.cat([new, torch.tensor([[best]])], dim=1), torch.cat([mask, mask[:, -1:]], dim=1)
    return written
