"""Misconception: Padding is masked by taking away what it sees.

Tell: You empty the rows of the padding, not its columns. What a padded token sees does no harm; that
others see it does.

Caught by: padding_is_seen_by_itself_alone, each_task_has_its_own_table, padding_is_heard_by_nobody
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
    return (sees & real[:, :, None]) | torch.eye(s, dtype=torch.bool)
