"""Misconception: A token that is alone in a call has no tag before it, so its mask is empty.

Tell: Your new tokens may see no picture at all. Counted alone, a new token has no tag before it; in its
row it has. Repeat the last row of the prompt's mask.
Caught by: new_tokens_can_see_the_picture, the_cache_changes_nothing,
new_tokens_look_at_the_latest_picture, the_picture_matters_to_the_last, writing_stops_at_the_end,
at_most_n_new_are_written, the_tag_is_never_written
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
        new, mask = torch.tensor([[best]]), torch.zeros_like(mask[:, -1:])
    return written
