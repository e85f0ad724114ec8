"""Three tasks, three masks: the tables, the laws behind them, and what they do to a real stack."""

import pytest
import torch

from course_lib.blip2_masks import TASKS, qformer_mask
from course_lib.blip2_qformer import QFormer
from course_lib.errors import ChoiceError

B, Q, T, D, V = 3, 4, 5, 12, 7
KEEP = torch.tensor([[True] * 5, [True] * 3 + [False] * 2, [True, False, True, False, True]])
REAL = torch.cat([torch.ones(B, Q, dtype=torch.bool), KEEP], dim=1)

every_task = pytest.mark.parametrize("task", TASKS)


def stack(seed: int = 0, n_layers: int = 3) -> QFormer:
    """In double precision, with every parameter drawn anew."""
    generator = torch.Generator().manual_seed(seed)
    model = QFormer(D, 10, n_layers, n_heads=3, d_hidden=20).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return model


def drawn(seed: int = 1) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Tokens, other tokens, visual tokens."""
    generator = torch.Generator().manual_seed(seed)
    tokens, others = torch.randn(2, B, Q + T, D, generator=generator, dtype=torch.float64)
    return tokens, others, torch.randn(B, V, 10, generator=generator, dtype=torch.float64)


def influence(model: QFormer, sees: torch.Tensor) -> torch.Tensor:
    """bool[b s s]: True where token i moves when token j is changed."""
    tokens, others, visual = drawn()
    with torch.no_grad():
        before = model(tokens, Q, sees, visual)
        columns = []
        for j in range(Q + T):
            changed = tokens.clone()
            changed[:, j] = others[:, j]
            columns.append((model(changed, Q, sees, visual) - before).abs().amax(dim=-1) > 1e-9)
    return torch.stack(columns, dim=2)


# -- the tables ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("task", "rows"),
    [
        ("contrast", ["11000", "11000", "00110", "00110", "00111"]),
        ("match", ["11110", "11110", "11110", "11110", "11111"]),
        ("write", ["11000", "11000", "11100", "11110", "11111"]),
    ],
)
def test_two_queries_two_words_and_one_padded_are_this_table(task: str, rows: list[str]) -> None:
    table = qformer_mask(task, 2, torch.tensor([[True, True, False]]))
    assert ["".join("1" if one else "0" for one in row) for row in table[0].tolist()] == rows


@every_task
def test_padding_is_seen_by_itself_and_by_nobody_else(task: str) -> None:
    columns = qformer_mask(task, Q, KEEP).mT[~REAL]
    itself = torch.eye(Q + T, dtype=torch.bool).expand(B, -1, -1)[~REAL]
    assert torch.equal(columns, itself)


@every_task
def test_everybody_sees_himself_even_in_a_text_of_padding(task: str) -> None:
    table = qformer_mask(task, Q, torch.zeros(2, T, dtype=torch.bool))
    assert table.diagonal(dim1=1, dim2=2).all()
    assert table[:, :Q, :Q].all()
    assert int(table[:, :, Q:].sum()) == 2 * T
    scores = torch.zeros(table.shape).masked_fill(~table, -torch.inf)
    assert scores.softmax(dim=-1).isfinite().all()


@every_task
def test_without_text_all_queries_see_all_and_without_queries_text_stays(task: str) -> None:
    assert qformer_mask(task, Q, KEEP[:, :0]).all()
    alone, beside = qformer_mask(task, 0, KEEP), qformer_mask(task, Q, KEEP)
    assert torch.equal(alone, beside[:, Q:, Q:])


@every_task
def test_a_pair_has_the_table_that_it_has_alone(task: str) -> None:
    together = qformer_mask(task, Q, KEEP)
    for row in range(B):
        assert torch.equal(together[row], qformer_mask(task, Q, KEEP[row : row + 1])[0])


@every_task
def test_whoever_sees_one_who_sees_a_third_sees_the_third(task: str) -> None:
    """Transitive, so that depth adds nothing: the test of the stack below rests on it."""
    table = qformer_mask(task, Q, KEEP).float()
    assert torch.equal((table @ table) > 0, table > 0)
    if task != "match":
        table[0, 0, Q] = 1  # the control: query 1 sees the first word
        assert not torch.equal((table @ table) > 0, table > 0)


@pytest.mark.parametrize("task", ["caption", "Match", ""])
def test_an_unknown_task_is_refused_with_the_known_ones(task: str) -> None:
    with pytest.raises(ChoiceError, match=f"no task {task!r}; choose one of contrast, match, write"):
        qformer_mask(task, Q, KEEP)
    with pytest.raises(ValueError, match="There is no task"):
        qformer_mask(task, Q, KEEP)


# -- what they do --------------------------------------------------------------------------------------------


@every_task
@pytest.mark.parametrize("n_layers", [1, 4])
def test_who_moves_whom_is_the_table_at_any_depth(task: str, n_layers: int) -> None:
    sees = qformer_mask(task, Q, KEEP)
    assert torch.equal(influence(stack(n_layers=n_layers), sees), sees)


def test_one_wrong_entry_under_contrast_opens_everything_behind_three_layers() -> None:
    """The control of the test above: a stack does hand on what it may."""
    sees = qformer_mask("contrast", Q, torch.ones_like(KEEP))
    sees[:, 0, Q] = True
    opened = [int(influence(stack(n_layers=n), sees)[0, :Q, Q:].sum()) for n in (1, 2, 3)]
    assert opened == [1, T + Q - 1, Q * T]


def test_contrast_is_two_separate_passes() -> None:
    """What the published code runs: queries without text, text without queries, under its padding alone."""
    model, (tokens, _, visual) = stack(), drawn()
    with torch.no_grad():
        joint = model(tokens, Q, qformer_mask("contrast", Q, KEEP), visual)
        queries = model(tokens[:, :Q], Q, None, visual)
        text = model(tokens[:, Q:], 0, KEEP[:, None, :].expand(B, T, T))
    torch.testing.assert_close(joint[:, :Q], queries, rtol=0, atol=1e-12)
    torch.testing.assert_close(joint[:, Q:][KEEP], text[KEEP], rtol=0, atol=1e-12)


def test_queries_are_the_same_under_contrast_and_write_and_not_under_match() -> None:
    model, (tokens, _, visual) = stack(), drawn()
    with torch.no_grad():
        contrast, match, write = (
            model(tokens, Q, qformer_mask(task, Q, KEEP), visual)[:, :Q] for task in TASKS
        )
    torch.testing.assert_close(contrast, write, rtol=0, atol=1e-12)
    assert (contrast - match).abs().amax() > 1e-3
