"""Right: one pair at a time, each with a cross-entropy written out."""

import torch


def itm_loss(match_logits, visual, ids, keep, wrong_text, wrong_picture):
    losses = []
    for own in range(len(visual)):
        listed = (
            (own, own, 1),
            (own, int(wrong_text[own]), 0),
            (int(wrong_picture[own]), own, 0),
        )
        for picture, text, target in listed:
            logits = match_logits(visual[picture][None], ids[text][None], keep[text][None])[0]
            losses.append(torch.logsumexp(logits, 0) - logits[target])
    return torch.stack(losses).mean()
