"""Misconception: The mask of a task has nothing to do with padding.

Tell: Your table does not depend on text_keep. Whatever fills a short text up is then read as if it were
words.

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
    return sees.expand(b, s, s)
