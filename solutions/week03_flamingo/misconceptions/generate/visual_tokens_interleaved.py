"""Misconception: The order in which pictures are flattened does not matter.

Tell: Your visual tokens stand in the order first of each picture, second of each picture, and the mask
believes that pictures stand one after another: (n v), not (v n).
Caught by: the_cache_changes_nothing, the_prompt_looks_at_its_latest_picture,
the_picture_matters_to_the_last, the_tag_is_never_written, the_prompt_stays_as_it_was,
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
    row = rearrange(visual, "n v d -> 1 (v n) d")
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
