"""Right: the last token never says anything, so it does not go in; the sign is glued in front of the rest."""

import torch
import torch.nn.functional as F


def itg_loss(writing_logits, visual, ids, keep, write_id, smoothing=0.1):
    sign = torch.full_like(ids[:, :1], write_id)
    logits = writing_logits(visual, torch.cat([sign, ids[:, 1:-1]], dim=1), keep[:, :-1])
    said = keep[:, 1:]
    return F.cross_entropy(logits[said], ids[:, 1:][said], label_smoothing=smoothing)
