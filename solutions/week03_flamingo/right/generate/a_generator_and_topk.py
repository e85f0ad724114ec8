"""Right: a generator that never ends, of which the first few are taken; topk(2) steps over the tag."""

from itertools import islice, takewhile

import torch
import torch.nn.functional as F


def words_after(model, ids, visual, image_id):
    n, v, d = visual.shape
    number = torch.cumsum(ids.eq(image_id).int(), dim=0)
    mask = torch.stack([number == k + 1 for k in range(n) for _ in range(v)], dim=1) if n else None
    if mask is None:
        mask = torch.zeros(len(ids), 0, dtype=torch.bool)
    known = None
    piece, rows = ids, mask
    while True:
        logits, known = model(piece.unsqueeze(0), visual.reshape(1, n * v, d), rows.unsqueeze(0), known)
        first, second = F.log_softmax(logits[0, -1], dim=-1).topk(2).indices.tolist()
        word = second if first == image_id else first
        yield word
        piece, rows = ids.new_tensor([word]), mask[-1].unsqueeze(0)


def generate(model, ids, visual, image_id, end_id, n_new):
    if ids.numel() == 0:
        raise ValueError("an empty prompt: 0 tokens")
    if ids.eq(image_id).sum() != visual.size(0):
        raise ValueError(f"{ids.eq(image_id).sum().item()} tags, {visual.size(0)} pictures")
    return list(islice(takewhile(lambda w: w != end_id, words_after(model, ids, visual, image_id)), n_new))
