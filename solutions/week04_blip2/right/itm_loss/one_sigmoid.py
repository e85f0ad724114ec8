"""Right: of two logits only their difference counts, so one sigmoid of it is the same loss."""

import torch
import torch.nn.functional as F


def itm_loss(match_logits, visual, ids, keep, wrong_text, wrong_picture):
    b = visual.shape[0]
    picked = torch.cat([ids, ids.index_select(0, wrong_text), ids])
    real = torch.cat([keep, keep.index_select(0, wrong_text), keep])
    seen = torch.cat([visual.repeat(2, 1, 1), visual.index_select(0, wrong_picture)])
    no, yes = match_logits(seen, picked, real).unbind(dim=1)
    target = (torch.arange(3 * b) < b).to(yes.dtype)
    return F.binary_cross_entropy_with_logits(yes - no, target)
