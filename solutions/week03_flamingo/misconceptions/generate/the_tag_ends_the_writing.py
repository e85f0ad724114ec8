"""Misconception: A tag means that the text is over.

Tell: You stop where the tag is the likeliest. It is only never written: the next likeliest token is.
Caught by: the_tag_is_never_written
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
        best = int(last.argmax())
        if best in (end_id, image_id):
            break
        written.append(best)
        new, mask = torch.tensor([[best]]), mask[:, -1:]
    return written
