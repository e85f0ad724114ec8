"""Misconception: A word that is to be guessed may not be seen by itself.

Tell: Under write your words do not see themselves. What is guessed at a place is the next word; this one
is known.

Caught by: each_task_has_its_own_table, no_row_is_empty
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
        earlier = torch.ones(s, s, dtype=torch.bool).tril(-1)
        sees = ~looked_at | (looks & looked_at & earlier)
    real = torch.cat([text_keep.new_ones(b, n_queries), text_keep], dim=1)
    sees = (sees & real[:, None, :]) | (torch.eye(s, dtype=torch.bool) & ~real[:, None, :])
    return sees
