"""Misconception: Text is always read from left to right.

Tell: Under contrast your text sees only what stands before it. Its first token stands for the whole text,
and would see nothing of it but itself.

Caught by: each_task_has_its_own_table, in_contrast_the_halves_do_not_hear_each_other
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
        earlier = torch.ones(s, s, dtype=torch.bool).tril()
        sees = (looks == looked_at) & (~looks | earlier)
    elif task == "match":
        sees = torch.ones(s, s, dtype=torch.bool)
    else:
        earlier = torch.ones(s, s, dtype=torch.bool).tril()
        sees = ~looked_at | (looks & looked_at & earlier)
    real = torch.cat([text_keep.new_ones(b, n_queries), text_keep], dim=1)
    return (sees & real[:, None, :]) | torch.eye(s, dtype=torch.bool)
