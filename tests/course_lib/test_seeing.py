"""Only the bridge trains, the controls are honest, and a short training moves what it should."""

import numpy as np
import pytest
import torch
from torch import nn

from course_lib.errors import CourseError, ShapeError
from course_lib.language import LanguageModel
from course_lib.microworld import KINDS, Question, draw_questions, draw_scenes, render
from course_lib.microworld.blocks import exact_match, question_blocks
from course_lib.seeing import (
    Eyes,
    SeeingModel,
    answer,
    answer_loss,
    blind_floor,
    evaluate,
    looking,
    pointing_game,
)
from course_lib.training import train_bridge
from course_lib.world import MicroWorld


class Perceptron(nn.Sequential):
    """A bridge as plain as can be."""

    def __init__(self, d_visual: int = 512, d_text: int = 128) -> None:
        super().__init__(nn.Linear(d_visual, 128), nn.GELU(), nn.Linear(128, d_text))


class Queries(nn.Module):
    """Five tokens, none of which has a place."""

    def __init__(self) -> None:
        super().__init__()
        self.mix, self.out = nn.Linear(9, 5), nn.Linear(512, 128)

    def forward(self, visual):
        return self.out(self.mix(visual.transpose(1, 2)).transpose(1, 2))


class Gate(nn.Module):
    """A block before a layer: it adds the mean of the patches, once its gate opens."""

    def __init__(self) -> None:
        super().__init__()
        self.alpha, self.read = nn.Parameter(torch.zeros(1)), nn.Linear(512, 128)

    def forward(self, text, visual, visual_mask=None):
        assert visual_mask.dtype == torch.bool
        assert visual_mask.all()
        return text + self.alpha.tanh() * self.read(visual.mean(1, keepdim=True))


class Look(nn.Module):
    """Gated cross-attention, short."""

    def __init__(self) -> None:
        super().__init__()
        self.alpha, self.norm = nn.Parameter(torch.zeros(1)), nn.LayerNorm(128)
        self.attention = nn.MultiheadAttention(128, 4, kdim=512, vdim=512, batch_first=True)

    def forward(self, text, visual, visual_mask=None):
        return text + self.alpha.tanh() * self.attention(self.norm(text), visual, visual)[0]


@pytest.fixture(scope="module")
def world():
    return MicroWorld.load(n_scenes=300, n_test=60)


@pytest.fixture(scope="module")
def trained(world):
    torch.manual_seed(0)
    return train_bridge(Perceptron(), steps=12, seed=0, world=world, progress=False)


def test_the_world_is_loaded_once(world):
    assert MicroWorld.load(n_scenes=300, n_test=60) is world
    assert world.train.features.shape == (300, 36, 128)
    assert world.grid == (6, 6)
    torch.testing.assert_close(world.new.features.mean(-1), torch.zeros(60, 36), atol=1e-5, rtol=0)
    torch.testing.assert_close(
        world.features(world.new.pictures[:3]), world.new.features[:3], atol=1e-4, rtol=1e-4
    )


def test_merging_puts_the_four_patches_of_a_cell_side_by_side():
    eyes = Eyes((6, 6), 2, 2)
    nn.init.zeros_(eyes.position)
    patches = torch.arange(36.0).view(1, 36, 1).expand(1, 36, 2)
    merged = eyes(patches)
    assert merged.shape == (1, 9, 8)
    assert merged[0, 4].tolist() == [14, 14, 15, 15, 20, 20, 21, 21]
    assert torch.equal(Eyes((6, 6), 2, 1)(patches), patches + Eyes((6, 6), 2, 1).position)


def test_every_place_has_a_position_of_its_own():
    position = Eyes((6, 6), 128, 2).position
    assert torch.pdist(position.detach()).min() > 1
    assert torch.equal(
        position, Eyes((6, 6), 128, 1).position
    )  # whatever global seed: a bridge alone is random


@pytest.mark.slow
def test_a_short_training_moves_what_it_should(world):
    """Blocks before the layers see after a few steps already, long before a projector does."""
    torch.manual_seed(0)
    result = train_bridge(
        nn.ModuleList(Look() for _ in range(4)), entrance="layers", steps=80, world=world, progress=False
    )
    assert result.curve[0] == (0, pytest.approx(result.blind, abs=0.01))  # closed gates
    assert result.curve[-1] == (80, pytest.approx(result.accuracy, abs=0.01))
    assert result.accuracy > result.blind + 0.1
    assert result.shuffled < result.blind + 0.06
    assert np.mean(result.losses[-10:]) < 0.95 * np.mean(result.losses[:10])  # .89 was seen
    assert set(result.by_kind) == set(KINDS)


@pytest.mark.slow
def test_a_linear_bridge_makes_the_frozen_model_see(world):
    torch.manual_seed(0)
    result = train_bridge(nn.Linear(512, 128), steps=400, world=MicroWorld.load(2000, 200), progress=False)
    assert result.accuracy > 0.7
    assert result.blind <= 0.45
    assert result.shuffled < result.blind + 0.06
    assert result.unseen > result.blind
    assert pointing_game(result.model, n_scenes=100).max() > 0.8


def test_the_numbers_beside_a_result_are_counted(trained):
    assert trained.parameters == 512 * 128 + 128 + 128 * 128 + 128
    assert trained.visual_tokens == 9
    assert len(trained.losses) == trained.steps == 12
    assert [step for step, _ in trained.curve] == list(range(13))
    assert trained.seconds > 0


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bridge_and_another_seed_another(world):
    def losses(seed: int) -> list[float]:
        torch.manual_seed(0)
        return train_bridge(Perceptron(), steps=4, seed=seed, world=world, progress=False).losses

    first = losses(1)
    torch.rand(3)  # whatever else was drawn in between
    assert losses(1) == first
    assert losses(2) != first


def test_training_leaves_the_frozen_models_and_the_global_dice_as_they_were(world):
    before = {key: value.clone() for key, value in world.language_model.state_dict().items()}
    bridge = Perceptron()
    start = bridge[0].weight.clone()
    state = torch.get_rng_state()
    result = train_bridge(bridge, steps=3, world=world, progress=False)
    assert torch.equal(torch.get_rng_state(), state)
    for key, value in world.language_model.state_dict().items():
        assert torch.equal(value, before[key])
    assert not world.language_model.training
    assert all(parameter.grad is None for parameter in world.language_model.parameters())
    assert not torch.equal(bridge[0].weight, start)
    names = {name for name, parameter in result.model.named_parameters() if parameter.requires_grad}
    assert names == {"eyes.position", "bridge.0.weight", "bridge.0.bias", "bridge.2.weight", "bridge.2.bias"}


def test_train_mode_reaches_eyes_and_bridge_and_not_the_language_model(world):
    model = SeeingModel(world, Perceptron()).train()
    assert model.bridge.training
    assert not any(module.training for module in model.language_model.modules())


def test_closed_gates_are_the_blind_language_model_and_open_ones_are_not(world):
    blocks = nn.ModuleList(Gate() for _ in range(4))
    model = SeeingModel(world, blocks, entrance="layers")
    questions = question_blocks(
        [draw_questions(scene, 8) for scene in world.new.scenes[:4]], world.vocabulary
    )
    blind, closed = model(None, questions), model(world.new.features[:4], questions)
    assert torch.equal(blind, closed)
    with torch.no_grad():
        blocks[3].alpha.fill_(0.7)
    assert (model(world.new.features[:4], questions) - blind).abs().max() > 1e-3


def test_gates_are_written_down_while_blocks_train(world):
    result = train_bridge(
        nn.ModuleList(Gate() for _ in range(4)), entrance="layers", steps=6, world=world, progress=False
    )
    assert result.name == "Gate"
    assert result.visual_tokens == 1
    assert result.gates[0] == (0, [0.0] * 4)
    assert result.gates[-1][0] == 6
    assert all(gate > 0 for gate in result.gates[-1][1])


def test_the_blind_floor_needs_no_bridge_and_is_low(world):
    floor = blind_floor(world, n_scenes=60)
    assert floor.n == 480
    assert 0.2 < floor.accuracy <= 0.45
    same = evaluate(SeeingModel(world, Perceptron()), picture="none", n_scenes=60)
    assert same == floor


def test_an_answer_counts_only_if_every_word_and_the_end_are_right(world):
    blocks = question_blocks([[Question("where", "where is the ring ?", "top left")]], world.vocabulary)
    ids = blocks.ids[:, :, 1:]
    logits = nn.functional.one_hot(ids, len(world.vocabulary)).float()
    assert exact_match(logits, blocks).all()
    assert answer_loss(20 * logits, blocks) < 1e-5
    start = len("where is the ring ?".split()) - 1  # the logit at "?" is of the answer's first word
    for wrong in range(start, start + 3):
        changed = logits.clone()
        changed[0, 0, wrong] = 0
        changed[0, 0, wrong, world.vocabulary.ids["yes"]] = 1
        assert not exact_match(changed, blocks).any()
    changed = logits.clone()
    changed[0, 0, 0] = 0  # a word of the question does not count
    assert exact_match(changed, blocks).all()


def test_answers_written_word_by_word_are_the_ones_that_are_counted(world, trained):
    model, scenes = trained.model, world.new.scenes[:12]
    questions = [draw_questions(scene, 2, seed=5) for scene in scenes]
    blocks = question_blocks(questions, world.vocabulary)
    counted = exact_match(model(world.new.features[:12], blocks), blocks)
    written = [
        [answer(model, scene, q.text) == q.answer for q in row]
        for scene, row in zip(scenes, questions, strict=True)
    ]
    assert counted.tolist() == written
    assert answer(model, render(scenes[0]), questions[0][0].text) == answer(
        model, scenes[0], questions[0][0].text
    )


def test_looks_are_shares_of_attention_on_the_board(world, trained):
    look = looking(trained.model, world.new.scenes[0], "how many things ?")
    assert look.shape == (4, 4, 3, 3)
    assert (look >= 0).all()
    assert (look.sum((-1, -2)) <= 1 + 1e-5).all()
    game = pointing_game(trained.model, n_scenes=30)
    assert game.shape == (4, 4)
    assert 0 <= game.min() <= game.max() <= 1


def test_a_perfect_looker_wins_the_pointing_game(world, monkeypatch):
    """Attention put by hand on the asked thing's cell wins every time, on nine tokens and on thirty-six."""
    for merge, side in ((2, 3), (1, 6)):
        model = SeeingModel(world, nn.Linear(128 * merge**2, 128), merge=merge)

        def looks(model, features, questions, side=side):
            grid = torch.zeros(4, len(questions), 4, side, side)
            for row, question in enumerate(questions):
                grid[:, row, :, question.thing.row * side // 3, question.thing.column * side // 3] = 1
            return grid

        monkeypatch.setattr("course_lib.seeing._looks", looks)
        assert pointing_game(model, n_scenes=20).min() == 1


def test_wrong_use_is_one_clear_sentence(world, trained):
    with pytest.raises(
        ShapeError, match=r"returned \(60, 9, 512\) for 60 pictures.*any number of visual tokens, 128"
    ):
        train_bridge(nn.Identity(), steps=1, world=world, progress=False)
    with pytest.raises(CourseError, match="no entrance 'side'"):
        SeeingModel(world, Perceptron(), entrance="side")
    with pytest.raises(CourseError, match="ModuleList of 4 blocks"):
        SeeingModel(world, nn.ModuleList([Gate()]), entrance="layers")
    with pytest.raises(ShapeError, match="merge=4 does not divide"):
        SeeingModel(world, Perceptron(), merge=4)
    with pytest.raises(CourseError, match="no picture choice 'upside'"):
        evaluate(trained.model, picture="upside")
    with pytest.raises(CourseError, match="no album 'web'"):
        evaluate(trained.model, "web")
    with pytest.raises(CourseError, match="'purple'"):
        answer(trained.model, world.new.scenes[0], "where is the purple ring ?")
    with pytest.raises(CourseError, match=r'ends in " \?"'):
        answer(trained.model, world.new.scenes[0], "where is the ring")
    with pytest.raises(CourseError, match="5 visual tokens, which have no place"):
        looking(SeeingModel(world, Queries()), world.new.scenes[0], "how many things ?")
    gates = SeeingModel(world, nn.ModuleList(Gate() for _ in range(4)), entrance="layers")
    with pytest.raises(CourseError, match='Only entrance="prefix"'):
        looking(gates, world.new.scenes[0], "how many things ?")


def test_scenes_of_one_album_are_not_in_another(world):
    train = {frozenset(scene.things) for scene in world.train.scenes}
    assert not train & {frozenset(scene.things) for scene in world.new.scenes + world.unseen.scenes}
    assert world.new.scenes != draw_scenes(60, "new", 1)
    assert isinstance(world.language_model, LanguageModel)
