"""Misconception: The future of a word is what stands behind it in the row, queries included.

Tell: Under write your words see the queries through a triangle of their own: word k sees the first k
queries and no others. The triangle is for words on words; every word sees all queries.

Caught by: the_three_tasks_differ_in_who_sees_across, each_task_has_its_own_table,
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
        step = torch.arange(s) - n_queries
        sees &= ~(looks & ~looked_at) | (torch.arange(s)[None, :] <= step[:, None])
    real = torch.cat([text_keep.new_ones(b, n_queries), text_keep], dim=1)
    return (sees & real[:, None, :]) | torch.eye(s, dtype=torch.bool)
