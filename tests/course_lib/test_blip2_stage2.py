"""What the queries read becomes a prefix: transformers' to 1e-5, a copy of its own, and what learns."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.blip2_qformer import QFormer
from course_lib.blip2_stage1 import Stage1
from course_lib.blip2_stage2 import QueryPrefix, draw_queries, query_similarity, without_text
from course_lib.errors import ShapeError
from tests.fixtures.blip2 import (
    D_SHARED,
    D_TEXT,
    D_VISUAL,
    EVERY,
    KEEP_VISUAL,
    POSITIONS,
    WORDS,
    B,
    D,
    Q,
    V,
    qformer,
    redrawn,
    their_whole,
)


def stage1(cross_every: int = 2) -> Stage1:
    return redrawn(Stage1(qformer(cross_every), Q, D, WORDS, POSITIONS, D_SHARED))


def prefix(cross_every: int = 2) -> QueryPrefix:
    before = stage1(cross_every)
    return redrawn(QueryPrefix(before.query_tokens, before.qformer, D_TEXT))


def same(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("cross_every", EVERY)
@torch.no_grad()
def test_the_prefix_is_blip2s_and_so_are_its_names(cross_every: int) -> None:
    from transformers import Blip2ForConditionalGeneration

    theirs = redrawn(Blip2ForConditionalGeneration(their_whole(cross_every, text=False)))
    assert theirs.qformer.config._attn_implementation == "eager"
    names = ("query_tokens", "qformer.", "language_projection.")
    state = {name: value for name, value in theirs.state_dict().items() if name.startswith(names)}
    ours = prefix(cross_every)
    assert ours.state_dict().keys() == state.keys()
    ours.load_state_dict(state, strict=True)
    pixels = torch.randn(B, 3, 8, 8)
    seen = theirs.get_image_features(pixels)
    assert seen.last_hidden_state.shape == (B, V, D_VISUAL)
    same(ours(seen.last_hidden_state), seen.pooler_output)
    assert (seen.pooler_output[1:] - seen.pooler_output[:-1]).abs().max() > 0.01


@torch.no_grad()
def test_stage_2_goes_on_where_stage_1_ended(visual: Tensor) -> None:
    before = stage1()
    made = QueryPrefix(before.query_tokens, before.qformer, D_TEXT).eval()
    read, _ = before.read(
        "contrast", visual, torch.ones(B, 1, dtype=torch.long), torch.ones(B, 1, dtype=torch.bool)
    )
    same(made(visual), made.language_projection(read))


@pytest.fixture
def visual() -> Tensor:
    return torch.randn(B, V, D_VISUAL)


@torch.no_grad()
def test_stage_2_shares_nothing_with_stage_1_and_leaves_it_whole() -> None:
    before = stage1()
    kept = {name: value.clone() for name, value in before.state_dict().items()}
    made = QueryPrefix(before.query_tokens, before.qformer, D_TEXT)
    places = {value.untyped_storage().data_ptr() for value in before.state_dict().values()}
    assert all(value.untyped_storage().data_ptr() not in places for value in made.state_dict().values())
    redrawn(made, std=2.0)
    after = before.state_dict()
    assert after.keys() == kept.keys()
    assert all(torch.equal(after[name], value) for name, value in kept.items())
    assert before.qformer.text
    before.read(
        "match", torch.randn(B, V, D_VISUAL), torch.ones(B, 4, dtype=torch.long), torch.ones(B, 4) > 0
    )


@torch.no_grad()
def test_only_the_feed_forwards_for_text_are_left_out_and_leaving_them_out_twice_is_once(
    visual: Tensor,
) -> None:
    whole = qformer()
    found = without_text(whole)
    gone = whole.state_dict().keys() - found.state_dict().keys()
    assert gone
    assert all(".intermediate." in name or name.split(".")[3] == "output" for name in gone)
    assert found.state_dict().keys() == QFormer(D, D_VISUAL, 4, 2, 28, text=False).state_dict().keys()
    queries = torch.randn(B, Q, D)
    same(found(queries, Q, None, visual), whole(queries, Q, None, visual))
    assert without_text(found).state_dict().keys() == found.state_dict().keys()
    with pytest.raises(ShapeError, match="2 text tokens come in"):
        found(torch.randn(B, Q + 2, D), Q, None, visual)


@torch.no_grad()
def test_a_prefix_does_not_see_visual_padding_and_is_as_long_as_there_are_queries(visual: Tensor) -> None:
    made = prefix()
    dirty = torch.where(KEEP_VISUAL[..., None], visual, 1e3)
    out = made(visual, KEEP_VISUAL)
    assert out.shape == (B, Q, D_TEXT)
    same(made(dirty, KEEP_VISUAL), out)
    same(made(visual[1:2, :6]), out[1:2])
    assert (made(dirty) - out)[1:].abs().max() > 0.01


def test_queries_every_layer_and_the_projection_learn_and_nothing_frozen_does() -> None:
    encoder, language = redrawn(nn.Linear(9, D_VISUAL)), redrawn(nn.Linear(D_TEXT, WORDS))
    for frozen in (encoder, language):
        frozen.requires_grad_(False)
    made = prefix()
    said = language(made(encoder(torch.randn(B, V, 9))))
    F.cross_entropy(said.flatten(0, 1), torch.randint(WORDS, (B * Q,))).backward()
    assert all(parameter.grad is None for frozen in (encoder, language) for parameter in frozen.parameters())
    assert made.query_tokens.grad is not None
    assert made.query_tokens.grad.any(dim=-1).all()
    learned = {name for name, parameter in made.named_parameters() if parameter.grad is not None}
    assert learned == {name for name, _ in made.named_parameters()}
    for name, parameter in made.named_parameters():
        # The same number added to every score changes no softmax: a key's bias learns nothing.
        assert (parameter.grad.abs().max() > 1e-5) != name.endswith("key.bias"), name  # type: ignore[union-attr]


def test_queries_that_are_equal_stay_equal_through_training(visual: Tensor) -> None:
    frozen = torch.randn(B, D_TEXT)  # a reader that takes the mean of a prefix, and knows no places
    spread = []
    for queries in (torch.randn(1, 1, D).repeat(1, Q, 1), torch.randn(1, Q, D)):
        made = QueryPrefix(queries, qformer(), D_TEXT).eval()
        optimizer = torch.optim.SGD(made.parameters(), lr=0.05)
        for _ in range(5):
            optimizer.zero_grad()
            (made(visual).mean(dim=1) - frozen).square().mean().backward()
            optimizer.step()
        assert (made.query_tokens - queries).abs().max() > 1e-4
        spread.append(made.query_tokens.detach().std(dim=1).max())
    assert spread[0] < 1e-5
    assert spread[1] > 0.1


@torch.no_grad()
def test_similarity_is_the_mean_over_pictures_of_the_cosine_of_two_queries() -> None:
    read = torch.randn(B, Q, D)
    spelled = [
        [
            math.fsum(float(F.cosine_similarity(read[b, i], read[b, j], dim=0)) for b in range(B)) / B
            for j in range(Q)
        ]
        for i in range(Q)
    ]
    found = query_similarity(read)
    same(found, torch.tensor(spelled))
    same(found.diagonal(), torch.ones(Q))
    same(query_similarity(read * torch.rand(B, Q, 1).add(0.1)), found)
    same(query_similarity(read[:, :1].repeat(1, Q, 1)), torch.ones(Q, Q))


def test_queries_are_drawn_small_each_another_and_by_their_generator() -> None:
    one, other = (draw_queries(40, 50, torch.Generator().manual_seed(2)) for _ in range(2))
    assert torch.equal(one, other)
    assert one.shape == (1, 40, 50)
    assert one.std() == pytest.approx(0.02, rel=0.1)
    assert one.std(dim=1).min() > 0.01


@pytest.mark.parametrize("shape", [(Q, D), (2, Q, D), (1, 1, Q, D)])
def test_queries_of_another_shape_are_named(shape: tuple[int, ...]) -> None:
    numbers = ", ".join(map(str, shape))
    with pytest.raises(
        ShapeError, match=rf"query_tokens are \({numbers}\); \(1, queries, width\) are asked for"
    ):
        QueryPrefix(torch.zeros(shape), qformer(), D_TEXT)


def test_queries_of_another_width_than_the_stacks_are_named(visual: Tensor) -> None:
    made = QueryPrefix(torch.zeros(1, Q, 9), qformer(), D_TEXT)
    with pytest.raises(RuntimeError, match=r"\[12\].*9\]"):
        made(visual)


def test_no_picture_is_counted() -> None:
    with pytest.raises(ShapeError, match="there are 0 pictures; give at least one"):
        query_similarity(torch.zeros(0, Q, D))
