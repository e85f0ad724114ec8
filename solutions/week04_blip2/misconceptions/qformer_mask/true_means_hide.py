"""Misconception: True in a mask means: hide.

Tell: Your table is the right one upside down. Here, as in torch's attention, True = keep.

Caught by: the_three_tasks_differ_in_who_sees_across, queries_see_each_other_in_every_task,
padding_is_seen_by_itself_alone, each_task_has_its_own_table, in_contrast_the_halves_do_not_hear_each_other,
in_match_everybody_hears_everybody, in_write_the_text_hears_the_queries_and_not_the_other_way,
in_write_no_word_hears_a_later_one, padding_is_heard_by_nobody, no_row_is_empty
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
    return ~((sees & real[:, None, :]) | torch.eye(s, dtype=torch.bool))
