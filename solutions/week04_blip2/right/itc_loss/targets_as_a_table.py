"""Right: torch's own cosine_similarity, and a table of targets in place of numbers and label_smoothing."""

import torch
import torch.nn.functional as F


def itc_loss(pictures, texts, temperature, smoothing=0.1):
    b, k = pictures.shape[0], texts.shape[0]
    if b != k:
        raise ValueError(f"{b} pictures, {k} texts: every picture needs a text of its own")
    cosines = F.cosine_similarity(pictures.unsqueeze(2), texts.unsqueeze(0).unsqueeze(0), dim=-1)
    logits = cosines.max(dim=1).values.div(temperature)
    target = (1 - smoothing) * torch.eye(b) + smoothing / b
    along = [-(target * logits.log_softmax(dim=axis)).sum() / b for axis in (0, 1)]
    return torch.stack(along).mean()
