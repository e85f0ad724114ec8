"""Misconception: Each query works alone.

Tell: Your queries do not see each other. They share one self-attention, and so can divide the picture
among themselves.

Caught by: queries_see_each_other_in_every_task, each_task_has_its_own_table,
in_contrast_the_halves_do_not_hear_each_other, in_match_everybody_hears_everybody,
in_write_the_text_hears_the_queries_and_not_the_other_way
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
    alone = torch.eye(s, dtype=torch.bool)
    sees = sees & (looks | looked_at | alone)
    return (sees & real[:, None, :]) | torch.eye(s, dtype=torch.bool)
