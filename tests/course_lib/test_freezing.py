"""Frozen parts take no gradient, stay in eval mode, and let gradients through."""

import copy

import pytest
import torch
from torch import nn

from course_lib.freezing import freeze
from course_lib.stand_ins import TinyPipeline


@pytest.fixture
def model() -> TinyPipeline:
    return TinyPipeline(6, 8, 5)


def modes(model: nn.Module) -> dict[str, bool]:
    """Training mode by part; a part whose modules disagree raises."""
    found = {}
    for name, part in model.named_children():
        (found[name],) = {module.training for module in part.modules()}
    return found


def test_only_the_named_parts_ask_for_gradients(model: TinyPipeline) -> None:
    freeze(model, ["bridge"])
    assert {n for n, p in model.named_parameters() if p.requires_grad} == {"bridge.0.weight", "bridge.0.bias"}


def test_it_returns_the_parameters_that_train_in_the_models_order(model: TinyPipeline) -> None:
    returned = freeze(model, ["language_model", "bridge", "bridge"])
    expected = [*model.bridge.parameters(), *model.language_model.parameters()]
    assert [id(p) for p in returned] == [id(p) for p in expected]
    assert freeze(model, []) == []


def test_frozen_parts_stay_in_eval_mode_and_the_others_follow(model: TinyPipeline) -> None:
    freeze(model, ["bridge"])
    asleep = {"encoder": False, "bridge": False, "language_model": False}
    assert modes(model) == {**asleep, "bridge": True}
    assert modes(model.eval()) == asleep
    assert modes(model.train()) == {**asleep, "bridge": True}
    assert model.train() is model


def test_frozen_parts_stay_asleep_inside_a_larger_model(model: TinyPipeline) -> None:
    freeze(model, ["bridge"])
    nn.Sequential(model, nn.Linear(5, 5)).train()
    assert modes(model) == {"encoder": False, "bridge": True, "language_model": False}


def test_a_second_call_starts_afresh(model: TinyPipeline) -> None:
    freeze(model, ["bridge"])
    freeze(model, ["language_model"])
    model.train()
    assert modes(model) == {"encoder": False, "bridge": False, "language_model": True}
    assert {n.split(".")[0] for n, p in model.named_parameters() if p.requires_grad} == {"language_model"}


def test_a_training_step_changes_the_bridge_and_nothing_else(model: TinyPipeline) -> None:
    optimiser = torch.optim.AdamW(freeze(model, ["bridge"]), lr=0.1, weight_decay=0.1)
    before = copy.deepcopy(model.state_dict())
    model.train()
    model(torch.randn(16, 6)).square().mean().backward()
    optimiser.step()
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"bridge.0.weight", "bridge.0.bias"}


def test_gradients_pass_through_to_the_bridge_and_the_picture(model: TinyPipeline) -> None:
    free = copy.deepcopy(model).eval()
    freeze(model, ["bridge"])
    model.eval()
    pixels = torch.randn(16, 6, requires_grad=True)
    model(pixels).square().mean().backward()
    also = pixels.detach().clone().requires_grad_()
    free(also).square().mean().backward()
    assert pixels.grad is not None
    assert also.grad is not None
    torch.testing.assert_close(pixels.grad, also.grad)
    for mine, theirs in zip(model.bridge.parameters(), free.bridge.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad)
        assert mine.grad is not None
        assert mine.grad.any()


@pytest.mark.parametrize("names", [["brigde"], ["bridge", "head"], ["bridge.0"], "bridge"])
def test_an_unknown_name_is_refused_before_anything_changes(model: TinyPipeline, names: list[str]) -> None:
    with pytest.raises(ValueError, match="its parts are encoder, bridge, language_model"):
        freeze(model, names)
    assert all(p.requires_grad for p in model.parameters())
