"""The step that every training of a bridge takes: who gets which optimiser, and at which rate."""

import pytest
import torch
from torch import nn

from course_lib.cross_attention import CrossAttention
from course_lib.gated_cross_attention import GatedCrossAttention
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


@pytest.fixture(scope="module")
def world() -> MicroWorld:
    return MicroWorld.load(n_scenes=300, n_test=60)


def gated(world: MicroWorld) -> SeeingModel:
    torch.manual_seed(0)
    blocks = (GatedCrossAttention(CrossAttention(128, 512, 4, 32), 128) for _ in range(4))
    return SeeingModel(world, nn.ModuleList(blocks), "layers")


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


def test_questions_of_training_name_no_unseen_pair(world: MicroWorld) -> None:
    """Same scenes, same seed: the same loss; other kinds of question: another."""
    model = gated(world)
    with torch.no_grad():
        assert question_loss(model, [3, 1], 5) == question_loss(model, [3, 1], 5)
        assert question_loss(model, [3, 1], 5) != question_loss(model, [3, 1], 5, kinds=("where",))
