"""Right: pair by pair in loops, and the smoothed cross-entropy written out."""

import torch


def itc_loss(pictures, texts, temperature, smoothing=0.1):
    if len(pictures) != len(texts):
        raise ValueError(f"there are {len(pictures)} pictures but {len(texts)} texts")
    b = len(texts)
    rows = []
    for picture in pictures:
        row = []
        for text in texts:
            cosines = [query @ text / (query.norm() * text.norm()) for query in picture]
            row.append(torch.stack(cosines).max() / temperature)
        rows.append(torch.stack(row))
    table = torch.stack(rows)
    total = 0.0
    for i in range(b):
        for line in (table[i], table[:, i]):
            logs = line - line.logsumexp(dim=0)
            total = total - (1 - smoothing) * logs[i] - smoothing * logs.mean()
    return total / (2 * b)
