"""Episodes through pictures: who can affect whom, by either entrance, and what training changes."""

import pytest
import torch
from einops import rearrange
from torch import nn

from course_lib.cross_attention import CrossAttention
from course_lib.errors import CourseError
from course_lib.few_shot import (
    ThingPictures,
    _gallerywise,
    episodes,
    few_shot_accuracy,
    gallery_logits,
    looked_at,
    said_before,
    spoken,
    train_on_episodes,
    word_logits,
)
from course_lib.gated_cross_attention import GatedCrossAttention
from course_lib.microworld import COLOURS, UNSEEN_PAIRS, Thing, draw_questions, render_many
from course_lib.microworld.blocks import question_blocks
from course_lib.microworld.draws import Draws
from course_lib.microworld.episodes import ASKED
from course_lib.seeing import SeeingModel
from course_lib.showcase import fit_probe
from course_lib.world import MicroWorld


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


@torch.no_grad()
def test_a_gallery_of_one_picture_is_a_picture(world: MicroWorld) -> None:
    scenes = world.train.scenes[:3]
    blocks = question_blocks([draw_questions(scene, 5) for scene in scenes], world.vocabulary)
    features = world.train.features[:3]
    for model in (SeeingModel(world, prefixed()), SeeingModel(world, gated(0.7), entrance="layers")):
        torch.testing.assert_close(gallery_logits(model, features[:, None], blocks), model(features, blocks))


@torch.no_grad()
def test_after_a_gallery_every_picture_counts_and_by_gates_the_earlier_ones_through_their_tags(
    world: MicroWorld,
) -> None:
    scenes = [scene for scene in world.train.scenes if len(scene.things) == 3][:2]
    blocks = question_blocks([draw_questions(scene, 5) for scene in scenes], world.vocabulary)
    features = ThingPictures(world, looks=1).of([list(scene.things) for scene in scenes], Draws("looks"))
    for model in (SeeingModel(world, prefixed()), SeeingModel(world, gated(0.7), entrance="layers")):
        clean = gallery_logits(model, features, blocks)
        for picture in range(3):
            changed = features.clone()
            changed[:, picture] = changed[:, picture].roll(1, dims=0) + 0.3
            assert (gallery_logits(model, changed, blocks) - clean).abs().max() > 1e-5
    # One block alone: a question reads the last picture, a tag its own.
    run = _gallerywise(model, features, 3)
    assert run is not None
    hidden = torch.randn(2, 3 + 7, 128)
    clean = run(0, hidden)
    for picture in range(3):
        changed = features.clone()
        changed[:, picture] += torch.randn(36, 128)
        other = _gallerywise(model, changed, 3)
        assert other is not None
        moved = (other(0, hidden) - clean).abs().amax((0, 2)) > 1e-6
        assert moved.tolist() == [n == picture for n in range(3)] + [picture == 2] * 7


def test_thing_pictures_show_every_pair_but_the_unseen_ones(world: MicroWorld) -> None:
    pictures = ThingPictures(world, looks=2)
    pairs = {(thing.colour, thing.shape) for thing in pictures.first}
    assert len(pictures.first) == len(pairs) * 2 * 9
    assert not pairs & set(UNSEEN_PAIRS)
    assert len(pairs) == 6 * 5 - len(UNSEEN_PAIRS)
    assert pictures.features.shape == (2 * len(pictures.first), 36, 128)
    assert len(torch.unique(pictures.features[:, 0], dim=0)) == len(pictures.features)  # no look twice


def test_thing_pictures_are_filed_under_the_thing_they_show(world: MicroWorld) -> None:
    """A probe that learns colours from the file names those of fresh scenes: the file's names are right."""
    pictures = ThingPictures(world, looks=1)

    def cells(things: list[Thing], features: torch.Tensor) -> torch.Tensor:
        merged = rearrange(features, "b (y i x j) d -> b (y x) (i j d)", y=3, i=2, x=3, j=2)
        return merged[range(len(things)), [thing.cell for thing in things]]

    filed = list(pictures.first)
    known = pictures.of([[thing] for thing in filed], Draws("x"))[:, 0]
    colours = torch.tensor([COLOURS.index(thing.colour) for thing in filed])
    probe = fit_probe(cells(filed, known), colours, len(COLOURS))
    fresh = [scene for scene in world.new.scenes if len(scene.things) == 1]
    things = [scene.things[0] for scene in fresh]
    guessed = probe(cells(things, world.features(render_many(fresh)))).argmax(1).tolist()
    assert guessed == [COLOURS.index(thing.colour) for thing in things]


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
    with pytest.raises(CourseError, match="2 training scenes there is none with"):
        train_on_episodes(prefixed(), steps=1, world=MicroWorld.load(2, 2), progress=False)


@pytest.mark.slow
def test_gates_learn_to_bind_words_through_pictures_when_galleries_come_first() -> None:
    """Fixed steps and seed: .98 was seen, .46 with another picture; without galleries, .44 was (360 steps).

    After 360 steps one machine was at .79 and another at .52: on the steep part, rounding decides.
    """
    world = MicroWorld.load(1000, 24)
    model, _ = train_on_episodes(gated(0.0), steps=480, entrance="layers", world=world, progress=False)
    own, other = (few_shot_accuracy(model, 2, query=query, count=100) for query in ("own", "shuffled"))
    assert own > 0.65
    assert own > other + 0.2
