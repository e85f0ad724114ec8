"""Right: the own one is left out of the row, and the draw's place counted back; a loop over the batch."""

import torch


def sample_negatives(logits):
    b = len(logits)
    if b < 2:
        raise ValueError(f"cannot draw a wrong pair from {b}")
    texts, pictures = [], []
    for i in range(b):
        others = [j for j in range(b) if j != i]
        for chosen, row in ((texts, logits[i]), (pictures, logits[:, i])):
            place = torch.multinomial(torch.softmax(row[others], dim=0), num_samples=1)
            chosen.append(others[int(place)])
    return torch.tensor(texts), torch.tensor(pictures)
