"""The stand-in with a cache: what it says depends on all it has read and seen, and its record is exact."""

import inspect

import pytest
import torch
from torch import Tensor

from course_lib.errors import ShapeError
from course_lib.stand_ins import CachedReader, build

WORDS, D_VISUAL, S = 19, 7, 6
IDS = torch.tensor([[4, 9, 2, 11, 5]])


def reader() -> CachedReader:
    model = build("cached_reader", n_words=WORDS, d_visual=D_VISUAL)
    assert isinstance(model, CachedReader)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    return model


def given() -> tuple[Tensor, Tensor]:
    return torch.randn(1, S, D_VISUAL), torch.rand(1, IDS.shape[1], S) < 0.5


@torch.no_grad()
def test_reading_in_pieces_is_reading_at_once() -> None:
    model, (visual, mask) = reader(), given()
    whole, last = model(IDS, visual, mask, None)
    first, cache = model(IDS[:, :3], visual, mask[:, :3], None)
    kept = cache.clone()
    second, end = model(IDS[:, 3:], visual, mask[:, 3:], cache)
    torch.testing.assert_close(torch.cat([first, second], dim=1), whole)
    torch.testing.assert_close(end, last)
    torch.testing.assert_close(cache, kept, rtol=0, atol=0)  # a cache is not changed by who uses it


@torch.no_grad()
def test_what_it_says_depends_on_every_token_before_and_on_no_later_one() -> None:
    model, (visual, mask) = reader(), given()
    plain, _ = model(IDS, visual, mask, None)
    for place in range(IDS.shape[1]):
        other = IDS.clone()
        other[0, place] = 15
        moved = (model(other, visual, mask, None)[0] - plain).abs().amax(dim=2)[0] > 1e-4
        assert moved.tolist() == [k >= place for k in range(IDS.shape[1])]


@torch.no_grad()
def test_only_visual_tokens_that_the_mask_keeps_are_seen() -> None:
    model, (visual, _) = reader(), given()
    mask = torch.zeros(1, IDS.shape[1], S, dtype=torch.bool)
    mask[0, 2, 1] = True  # True = keep
    plain, _ = model(IDS, visual, mask, None)
    hidden, seen = visual.clone(), visual.clone()
    hidden[0, [0, 2, 3, 4, 5]] += 3.0
    seen[0, 1] += 3.0
    torch.testing.assert_close(model(IDS, hidden, mask, None)[0], plain, rtol=0, atol=0)
    moved = (model(IDS, seen, mask, None)[0] - plain).abs().amax(dim=2)[0] > 1e-4
    assert moved.tolist() == [False, False, True, True, True]


@torch.no_grad()
def test_its_record_holds_every_token_and_its_row_of_the_mask() -> None:
    model, (visual, mask) = reader(), given()
    _, cache = model(IDS, visual, mask, None)
    model(IDS[:, :2], visual, None, cache)
    assert model.read.tolist() == IDS[0].tolist() + IDS[0, :2].tolist()
    everything = torch.ones(2, S, dtype=torch.bool)
    torch.testing.assert_close(model.kept, torch.cat([mask[0], everything]), rtol=0, atol=0)


def test_a_mask_for_another_number_of_tokens_is_named_with_both_shapes() -> None:
    model, (visual, mask) = reader(), given()
    call = inspect.unwrap(CachedReader.forward)
    with pytest.raises(ShapeError, match=r"\(1, 5, 6\) of torch\.bool; 1 tokens .* need \(1, 1, 6\)"):
        call(model, IDS[:, :1], visual, mask, None)
    with pytest.raises(ShapeError, match=r"of torch\.float32"):
        call(model, IDS, visual, mask.float(), None)
    with pytest.raises(ShapeError, match=r"ids are \(5,\)"):
        call(model, IDS[0], visual, mask, None)
