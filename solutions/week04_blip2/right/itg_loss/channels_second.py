"""Right: logits with words on the second axis, a loss for every place, and a masked mean at the end."""

import torch.nn.functional as F
from einops import rearrange


def itg_loss(writing_logits, visual, ids, keep, write_id, smoothing=0.1):
    asked = ids.masked_scatter(
        ids.new_zeros(ids.shape).index_fill(1, ids.new_zeros(1), 1).bool(), ids * 0 + write_id
    )
    logits = rearrange(writing_logits(visual, asked, keep), "b t w -> b w t")[..., :-1]
    each = F.cross_entropy(logits, ids[:, 1:], reduction="none", label_smoothing=smoothing)
    real = keep[:, 1:].to(each.dtype)
    return (each * real).sum() / real.sum()
