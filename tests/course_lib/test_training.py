"""The step that every training of a bridge takes: who gets which optimiser, and at which rate."""

from typing import Any

import pytest
import torch
from torch import nn

from course_lib import few_shot, training
from course_lib.few_shot import ThingPictures, gallery_loss
from course_lib.microworld import UNSEEN_PAIRS, Question, draw_questions
from course_lib.microworld.draws import Draws
from course_lib.qformer import SimplifiedQFormer
from course_lib.seeing import SeeingModel
from course_lib.training import (
    LONGEST,
    MUON_FACTOR,
    Stepper,
    learning_rate_at,
    optimisers_for,
    question_loss,
)
from course_lib.world import MicroWorld
from tests.course_lib.test_few_shot import gated as closed_gates


@pytest.fixture(scope="module")
def world() -> MicroWorld:
    return MicroWorld.load(n_scenes=300, n_test=60)


def gated(world: MicroWorld) -> SeeingModel:
    return SeeingModel(world, closed_gates(0.0), "layers")


def rates(model: SeeingModel) -> dict[str, tuple[str, float, float]]:
    """Of every trainable parameter: its optimiser, its rate and its decay."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {
        names[id(parameter)]: (type(optimiser).__name__, group["lr"], group["weight_decay"])
        for optimiser in optimisers_for(model, 1e-3)
        for group in optimiser.param_groups
        for parameter in group["params"]
    }


def test_maps_go_to_muon_gates_keep_pace_and_the_rest_goes_to_adamw(world: MicroWorld) -> None:
    model = gated(world)
    found = rates(model)
    assert set(found) == {name for name, p in model.named_parameters() if p.requires_grad}
    assert found["bridge.0.attention.k_proj.weight"] == ("Muon", MUON_FACTOR * 1e-3, 0.01)
    assert found["bridge.3.alpha"] == ("AdamW", MUON_FACTOR * 1e-3, 0.0)
    assert found["bridge.0.norm.weight"] == found["eyes.position"] == ("AdamW", 1e-3, 0.01)


def test_the_maps_inside_torchs_own_attention_are_maps_too(world: MicroWorld) -> None:
    """Keys of another width have weights of their own; they were once left to AdamW, and nobody noticed."""
    torch.manual_seed(0)
    sizes = {"n_queries": 3, "n_layers": 1, "n_heads": 4, "d_model": 128}
    found = rates(SeeingModel(world, SimplifiedQFormer(512, 128, **sizes)))
    for name in ("q_proj_weight", "k_proj_weight", "v_proj_weight", "out_proj.weight"):
        assert found[f"bridge.layers.0.cross_attention.{name}"][0] == "Muon"
    assert found["bridge.layers.0.self_attention.in_proj_weight"][0] == "Muon"
    assert found["bridge.queries"][0] == "AdamW"


def test_a_step_is_clipped_and_moves_every_group(world: MicroWorld) -> None:
    model = gated(world)
    for block in model.bridge:  # type: ignore[union-attr]
        nn.init.constant_(block.alpha, 0.5)
    before = {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}
    stepper = Stepper(model, 1e-3, steps=2)
    loss = question_loss(model, range(4), seed=1)
    assert stepper.step(1000 * loss) == pytest.approx(1000 * loss.item())
    length = torch.stack([p.grad.norm() for p in model.trainable() if p.grad is not None]).norm()
    assert length == pytest.approx(LONGEST, rel=1e-3)
    still = {name for name, p in model.named_parameters() if name in before and torch.equal(p, before[name])}
    assert still == set()


def test_the_rate_warms_up_and_ends_low() -> None:
    shares = [learning_rate_at(step, 400) for step in range(400)]
    assert shares[0] == pytest.approx(1 / 20)
    assert max(shares) == shares[20] == pytest.approx(1)
    assert shares[20:] == sorted(shares[20:], reverse=True)
    assert shares[-1] == pytest.approx(0.03, abs=1e-3)


def test_no_question_of_training_names_an_unseen_pair(
    world: MicroWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even one whose answer is no, which could name any pair."""
    asked: list[Question] = []

    def heard(*args: Any, **named: Any) -> list[Question]:
        asked.extend(drawn := draw_questions(*args, **named))
        return drawn

    monkeypatch.setattr(training, "draw_questions", heard)
    monkeypatch.setattr(few_shot, "draw_questions", heard)
    model = gated(world)
    things = ThingPictures(world, looks=1)
    scenes = [scene for scene in world.train.scenes if len(scene.things) == 2][:20]
    with torch.no_grad():
        for seed in range(10):
            question_loss(model, range(40), seed, kinds=("exist",))
            gallery_loss(model, things, scenes, Draws("galleries", seed))
    assert len(asked) == 10 * 8 * 60
    named = [pair for pair in UNSEEN_PAIRS for one in asked if " ".join(pair) in one.text]
    assert named == []
