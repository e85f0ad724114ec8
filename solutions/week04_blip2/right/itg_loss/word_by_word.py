"""Right: two loops, with the smoothed cross-entropy written out for each word."""

import torch


def itg_loss(writing_logits, visual, ids, keep, write_id, smoothing=0.1):
    asked = torch.where(torch.arange(ids.shape[1]) == 0, write_id, ids)
    logs = torch.log_softmax(writing_logits(visual, asked, keep), dim=2)
    costs = []
    for row in range(ids.shape[0]):
        for place in range(1, ids.shape[1]):
            if keep[row, place]:
                guess = logs[row, place - 1]
                costs.append(-(1 - smoothing) * guess[ids[row, place]] - smoothing * guess.mean())
    return sum(costs) / len(costs)
