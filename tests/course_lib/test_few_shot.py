"""Episodes through pictures: who can affect whom, by either entrance, and what training changes."""

import pytest
import torch
from torch import nn

from course_lib.cross_attention import CrossAttention
from course_lib.errors import CourseError
from course_lib.few_shot import (
    episodes,
    few_shot_accuracy,
    looked_at,
    said_before,
    spoken,
    train_on_episodes,
    word_logits,
)
from course_lib.gated_cross_attention import GatedCrossAttention
from course_lib.microworld.episodes import ASKED
from course_lib.seeing import MicroWorld, SeeingModel


@pytest.fixture(scope="module")
def world() -> MicroWorld:
    return MicroWorld.load(200, 24)


def gated(alpha: float) -> nn.ModuleList:
    torch.manual_seed(0)
    blocks = nn.ModuleList(GatedCrossAttention(CrossAttention(128, 512, 4, 32), 128) for _ in range(4))
    for block in blocks:
        nn.init.constant_(block.alpha, alpha)
    return blocks


def prefixed() -> nn.Module:
    torch.manual_seed(0)
    return nn.Linear(512, 128)


def influence(model: SeeingModel) -> torch.Tensor:
    """bool[p p]: True where changing picture j changes what is said after picture i."""
    many = episodes(2, 3)
    features, ids = looked_at(model, many), spoken(model, many)
    clean = word_logits(model, features, ids)
    rows = []
    for picture in range(features.shape[1]):
        changed = features.clone()
        changed[:, picture] = changed[:, picture].roll(1, dims=0) + 0.3
        rows.append((word_logits(model, changed, ids) - clean).abs().amax((0, 2)) > 1e-6)
    return torch.stack(rows, dim=1)


@torch.no_grad()
def test_a_picture_changes_what_is_said_after_it_and_nothing_before(world: MicroWorld) -> None:
    causal = torch.ones(4, 4, dtype=torch.bool).tril()
    assert torch.equal(influence(SeeingModel(world, prefixed())), causal)
    assert torch.equal(influence(SeeingModel(world, gated(0.7), entrance="layers")), causal)


@torch.no_grad()
def test_closed_gates_hear_no_picture(world: MicroWorld) -> None:
    assert not influence(SeeingModel(world, gated(0.0), entrance="layers")).any()


@torch.no_grad()
def test_a_segment_reads_its_own_picture_and_no_other(world: MicroWorld) -> None:
    """One block alone, without the language model's own attention: only the latest picture counts."""
    model = SeeingModel(world, gated(0.7), entrance="layers")
    features = looked_at(model, episodes(1, 3))
    hidden = torch.randn(4, 5, 128)
    change = model.before_layer(features[0])
    assert change is not None
    clean = change(1, hidden)
    other = features.clone()
    other[0, 2] += torch.randn(36, 128)
    again = model.before_layer(other[0])
    assert again is not None
    moved = (again(1, hidden) - clean).abs().amax((1, 2)) > 1e-6
    assert moved.tolist() == [False, False, True, False]


@torch.no_grad()
def test_logits_are_those_of_the_row_put_together_by_hand(world: MicroWorld) -> None:
    model, words = SeeingModel(world, prefixed()), world.vocabulary
    many = episodes(1, 2)
    features, ids = looked_at(model, many), spoken(model, many)
    embed = world.language_model.model.embed_tokens
    parts = []
    for picture, word in enumerate(many[0].words):
        parts += [model.prefix(features[0, picture : picture + 1], 1)[0]]
        last = picture == len(many[0].words) - 1
        parts += [embed(torch.tensor(words.encode(ASKED if last else f"{ASKED} {word} <end>")))]
    stream = torch.cat(parts)[None]
    keep, positions = torch.ones(1, stream.shape[1], dtype=torch.bool), torch.arange(stream.shape[1])[None]
    expected = world.language_model(stream, keep, positions)[0, -1]
    torch.testing.assert_close(word_logits(model, features, ids)[0, -1], expected, atol=1e-4, rtol=1e-4)


def test_a_word_can_be_known_only_after_it_was_said() -> None:
    words = torch.tensor([[4, 7, 4, 4], [5, 5, 9, 5]])
    assert said_before(words).tolist() == [[False, False, True, True], [False, True, False, True]]


def test_training_on_episodes_moves_the_bridge_and_nothing_frozen(world: MicroWorld) -> None:
    frozen = [parameter.clone() for parameter in world.language_model.parameters()]
    bridge = prefixed()
    before = bridge.weight.detach().clone()
    model, seconds = train_on_episodes(bridge, steps=4, world=world, progress=False)
    assert seconds > 0
    assert not torch.equal(bridge.weight, before)
    assert all(torch.equal(a, b) for a, b in zip(frozen, world.language_model.parameters(), strict=True))
    assert 0 <= few_shot_accuracy(model, count=20) <= 1
    with pytest.raises(CourseError, match="no query choice 'none'; choose one of own, shuffled"):
        few_shot_accuracy(model, query="none")
