"""Right: one question for each entry, in loops."""

import torch


def sees(task, looks, looked_at, n_queries):
    from_text, to_text = looks >= n_queries, looked_at >= n_queries
    if task == "match":
        return True
    if task == "contrast":
        return from_text == to_text
    if task == "write":
        return not to_text or (from_text and looked_at <= looks)
    raise ValueError(f"no task {task!r}, only contrast, match and write")


def qformer_mask(task, n_queries, text_keep):
    b, t = text_keep.shape
    s = n_queries + t
    table = torch.zeros(b, s, s, dtype=torch.bool)
    sees(task, 0, 0, n_queries)
    for pair in range(b):
        for i in range(s):
            for j in range(s):
                real = j < n_queries or bool(text_keep[pair, j - n_queries])
                table[pair, i, j] = i == j or (real and sees(task, i, j, n_queries))
    return table
