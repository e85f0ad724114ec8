"""The stand-ins around a stream: a language model that reads embeddings, an entrance, a list of blocks."""

import pytest
import torch

from course_lib import stand_ins
from course_lib.errors import ShapeError

B, S, D, WORDS = 2, 6, 8, 11


def test_a_tiny_reader_looks_back_at_what_is_kept_uses_positions_and_asks_before_every_layer() -> None:
    reader = stand_ins.build("tiny_reader", n_words=WORDS, d_text=D, n_layers=3)
    embeds, keep = torch.randn(B, S, D), torch.ones(B, S, dtype=torch.bool)
    keep[:, 1] = False
    positions, asked = torch.arange(S).expand(B, S), []

    def watch(i: int, hidden: torch.Tensor) -> torch.Tensor:
        asked.append(i)
        return hidden

    clean = reader(embeds, keep, positions, watch)
    assert asked == [0, 1, 2]
    for j in range(S):
        other = embeds.clone()
        other[:, j] += torch.randn(D)
        moved = (reader(other, keep, positions) - clean).abs().amax(dim=(0, 2)) > 1e-6
        assert moved.tolist() == [i == j or (i > j and j != 1) for i in range(S)]
    assert not torch.allclose(reader(embeds, keep, positions + 1), clean, atol=1e-3)
    sees = torch.ones(S, S, dtype=torch.bool).tril() & keep[:, None] | torch.eye(S, dtype=torch.bool)
    torch.testing.assert_close(reader(embeds, sees, positions), clean)


def test_a_tiny_reader_says_what_does_not_fit_and_is_frozen_on_demand() -> None:
    reader = stand_ins.build("tiny_reader", n_words=WORDS, d_text=D, n_layers=2, frozen=1)
    assert not any(parameter.requires_grad for parameter in reader.parameters())
    embeds, positions = torch.randn(B, S, D), torch.zeros(B, S, dtype=torch.long)
    with pytest.raises(ShapeError, match=r"keep is \(2, 5\)"):
        reader(embeds, torch.ones(B, S - 1, dtype=torch.bool), positions)
    with pytest.raises(ShapeError, match="booleans"):
        reader(embeds, torch.ones(B, S), positions)


def test_an_entrance_makes_so_many_words_of_any_number_of_tokens_and_every_block_reads() -> None:
    entrance = stand_ins.build("tiny_entrance", d_visual=5, d_text=D, n_tokens=3)
    assert [entrance(torch.randn(B, v, 5)).shape for v in (1, 7)] == [(B, 3, D)] * 2
    blocks = stand_ins.build("linear_reads", n=2, d_text=D, d_visual=5)
    assert [block(torch.randn(B, S, D), torch.randn(B, 7, 5)).shape for block in blocks] == [(B, S, D)] * 2
