"""Misconception: A mask holds ones and zeros.

Tell: Your table holds numbers. torch adds a mask of numbers to the scores: 1 and 0 would hide next to
nothing. Return booleans, True = keep.

Caught by: the_table_has_a_row_and_a_column_for_each_token, the_table_is_boolean_and_each_pair_has_its_own
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
    return ((sees & real[:, None, :]) | torch.eye(s, dtype=torch.bool)).float()
