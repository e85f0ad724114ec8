"""Misconception: A word may not see later words, in any task.

Tell: Under match your text is causal. Nothing is written there: both are read as a whole, both ways.

Caught by: each_task_has_its_own_table, in_match_everybody_hears_everybody
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
        sees = ~(looks & looked_at) | torch.ones(s, s, dtype=torch.bool).tril()
    else:
        earlier = torch.ones(s, s, dtype=torch.bool).tril()
        sees = ~looked_at | (looks & looked_at & earlier)
    real = torch.cat([text_keep.new_ones(b, n_queries), text_keep], dim=1)
    return (sees & real[:, None, :]) | torch.eye(s, dtype=torch.bool)
