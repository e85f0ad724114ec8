"""Right: no probabilities at all; the largest of logits plus Gumbel noise is a draw from their softmax."""

import torch


def sample_negatives(logits):
    b = logits.shape[0]
    if b == 1:
        raise ValueError("1 pair has no wrong partner; the batch has to be larger")

    def one_each(table):
        noise = -torch.log(torch.empty(b, b, dtype=torch.float64).exponential_())
        noisy = table.double() + noise
        noisy[torch.arange(b), torch.arange(b)] = float("-inf")
        return noisy.argmax(dim=1)

    return one_each(logits), one_each(logits.transpose(0, 1))
