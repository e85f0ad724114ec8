"""Misconception: Padding sees nobody and is seen by nobody.

Tell: You take padding out of rows and columns, and the diagonal with them. A row without any True leaves
its softmax 0 / 0.

Caught by: padding_is_seen_by_itself_alone, no_row_is_empty
"""

import torch

TASKS = ("contrast", "match", "write")


def qformer_mask(task, n_queries, text_keep):
    if task not in TASKS:
        raise ValueError(f"There is no task {task!r}; choose one of {', '.join(TASKS)}.")
    b, t = text_keep.shape
    s = n_queries + t
    is_text = torch.arange(s) >= n_queries
    looks, looked_at = is_text[:, None], is_text[None, :]
    if task == "contrast":
        sees = looks == looked_at
    elif task == "match":
        sees = torch.ones(s, s, dtype=torch.bool)
    else:
        earlier = torch.ones(s, s, dtype=torch.bool).tril()
        sees = ~looked_at | (looks & looked_at & earlier)
    real = torch.cat([text_keep.new_ones(b, n_queries), text_keep], dim=1)
    return sees & real[:, None, :] & real[:, :, None]
