"""Misconception: An error is enough.

Tell: Your error does not say which task was asked for and which there are. Whoever reads it should know
what to do.

Caught by: a_task_that_is_not_there_is_refused
"""

import torch

TASKS = ("contrast", "match", "write")


def qformer_mask(task, n_queries, text_keep):
    if task not in TASKS:
        raise ValueError("unknown task")
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
    return (sees & real[:, None, :]) | torch.eye(s, dtype=torch.bool)
