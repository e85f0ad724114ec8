"""Misconception: The smallest logit is the best.

Tell: You take the least likely token. Logits grow with likelihood: the largest is wanted.
Caught by: each_token_is_the_likeliest, new_tokens_can_see_the_picture, the_cache_changes_nothing,
the_prompt_looks_at_its_latest_picture, new_tokens_look_at_the_latest_picture,
the_picture_matters_to_the_last, each_token_is_read_once, writing_stops_at_the_end,
at_most_n_new_are_written, the_tag_is_never_written, the_prompt_stays_as_it_was,
tags_and_pictures_are_counted, an_empty_prompt_is_an_error
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
        last[image_id] = torch.inf
        best = int(last.argmin())
        if best == end_id:
            break
        written.append(best)
        new, mask = torch.tensor([[best]]), mask[:, -1:]
    return written
