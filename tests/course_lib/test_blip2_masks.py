"""Who sees whom, spelled out pair by pair."""

import pytest
import torch

from course_lib.blip2_masks import TASKS, qformer_mask
from course_lib.errors import CourseError
from tests.fixtures.blip2 import KEEP, Q, T


def slowly(task: str, row: int, looks: int, looked_at: int) -> bool:
    """May the token at `looks` see the one at `looked_at`?"""
    if looks == looked_at:
        return True
    if looked_at >= Q and not KEEP[row, looked_at - Q]:
        return False
    from_query, to_query = looks < Q, looked_at < Q
    if task == "match":
        return True
    if task == "contrast":
        return from_query == to_query
    return to_query or (not from_query and looked_at < looks)


@pytest.mark.parametrize("task", TASKS)
def test_every_pair_of_tokens_is_as_the_paper_draws_it(task: str) -> None:
    made = qformer_mask(task, Q, KEEP)
    assert made.dtype == torch.bool
    spelled = [
        [[slowly(task, b, i, j) for j in range(Q + T)] for i in range(Q + T)] for b in range(len(KEEP))
    ]
    assert made.tolist() == spelled


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("n_queries", [0, Q])
def test_everybody_sees_somebody_even_where_a_text_is_all_padding(task: str, n_queries: int) -> None:
    assert qformer_mask(task, n_queries, torch.zeros_like(KEEP)).any(dim=-1).all()


def test_a_task_that_there_is_not_names_those_there_are() -> None:
    with pytest.raises(CourseError, match="no task 'read'; choose one of contrast, match, write"):
        qformer_mask("read", Q, KEEP)
