"""Right: a function that writes one token and calls itself for the rest."""

import torch


def generate(model, ids, visual, image_id, end_id, n_new):
    is_tag = ids == image_id
    if len(ids) < 1 or is_tag.sum().item() != len(visual):
        raise ValueError(f"{len(ids)} tokens, of them {is_tag.sum().item()} tags; {len(visual)} pictures")
    every = torch.arange(len(visual)).repeat_interleave(visual.shape[1])
    mask = (is_tag.long().cumsum(0)[:, None] - 1 == every[None, :])[None]
    stream = torch.cat(list(visual), dim=0)[None] if len(visual) else visual.reshape(1, 0, visual.shape[2])

    def rest(new, mask, cache, left):
        if left == 0:
            return []
        logits, cache = model(new, stream, mask, cache)
        scores = logits[0, -1].masked_fill(torch.arange(logits.shape[-1]) == image_id, float("-inf"))
        best = scores.max(dim=0).indices
        if best == end_id:
            return []
        return [best.item(), *rest(best.view(1, 1), mask[:, -1:], cache, left - 1)]

    return rest(ids.view(1, -1), mask, None, n_new)
