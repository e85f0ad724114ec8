"""Right: one matrix product with all queries of all pictures, the temperature inside the texts."""

import torch
from einops import rearrange
from torch import nn


def itc_loss(pictures, texts, temperature, smoothing=0.1):
    b, q, _ = pictures.shape
    if texts.size(0) != b:
        raise ValueError(f"pairs are needed, but there are {b} pictures and {texts.size(0)} texts")
    queries = rearrange(pictures, "b q e -> (b q) e")
    queries = queries / queries.pow(2).sum(dim=1, keepdim=True).sqrt()
    scaled = texts / (texts.pow(2).sum(dim=1, keepdim=True).sqrt() * temperature)
    table = rearrange(queries @ scaled.t(), "(b q) k -> k b q", q=q)
    nearest = torch.topk(table, 1, dim=2).values.squeeze(2)  # texts in rows
    loss = nn.CrossEntropyLoss(label_smoothing=smoothing)
    own = torch.arange(b)
    return 0.5 * loss(nearest, own) + 0.5 * loss(nearest.t(), own)
