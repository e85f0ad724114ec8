"""A prefix-LM's mask, asked pair by pair, and what of it no number of layers can undo."""

import itertools

import pytest
import torch

from course_lib.errors import ShapeError
from course_lib.fusion_masks import prefix_lm_mask


def test_every_pair_of_four_tokens_under_every_mask():
    rows = torch.tensor(list(itertools.product([False, True], repeat=8)))
    keep, prefix = rows[:, :4], rows[:, 4:]
    sees = prefix_lm_mask(keep, prefix)
    for row, table in enumerate(sees.tolist()):
        real, given = keep[row].tolist(), prefix[row].tolist()
        for i, j in itertools.product(range(4), repeat=2):
            wanted = i == j or (real[j] and (j < i or (given[i] and given[j])))
            assert table[i][j] is wanted, (real, given, i, j)


def test_the_answer_never_reaches_the_prefix_however_many_layers():
    given = torch.arange(9)[None] < 5
    sees = prefix_lm_mask(torch.ones_like(given), given)[0].float()
    power = torch.linalg.matrix_power(sees, 9) > 0  # nine tokens: what nine layers do not reach, none will
    assert power[:5, :5].all()
    assert not power[:5, 5:].any()
    assert torch.equal(power[5:, 5:], torch.ones(4, 4, dtype=torch.bool).tril())


def test_masks_of_other_shapes_are_refused_with_both():
    with pytest.raises(ShapeError, match=r"\(2, 5\).*\(2, 4\)"):
        prefix_lm_mask(torch.ones(2, 5, dtype=torch.bool), torch.ones(2, 4, dtype=torch.bool))
