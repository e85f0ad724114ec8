"""Right: loops and plain lists; even the prompt is read one token at a time, and the last one written too."""

import torch


def generate(model, ids, visual, image_id, end_id, n_new):
    words = ids.tolist()
    n, v = visual.shape[0], visual.shape[1]
    if len(words) == 0:
        raise ValueError("nothing to go on from: 0 tokens")
    if words.count(image_id) != n:
        raise ValueError(f"tags: {words.count(image_id)}, pictures: {n}")
    flat = visual.reshape(1, n * v, visual.shape[2])
    latest, cache, logits = 0, None, None

    def read(word):
        nonlocal latest, cache, logits
        if word == image_id:
            latest += 1
        keeps = [k // v == latest - 1 for k in range(n * v)]
        mask = torch.tensor(keeps, dtype=torch.bool).reshape(1, 1, n * v)
        logits, cache = model(torch.tensor([[word]]), flat, mask, cache)

    for word in words:
        read(word)
    written = []
    for _ in range(n_new):
        order = logits[0, -1].argsort(descending=True).tolist()
        best = next(word for word in order if word != image_id)
        if best == end_id:
            break
        written.append(best)
        read(best)
    return written
