"""Explorers move where something can move, and stand still, complete, where nothing can."""

import pytest
import torch
from torch import nn

from course_lib import explorers
from course_lib.exhibits import Exhibit


def token_budget(bridge, image_size, patch_size, context, text_per_turn, factor=1, n_queries=32):
    """A plain stand-in with the exercise's signature."""
    if image_size % patch_size:
        raise ValueError(f"{patch_size} does not divide {image_size}")
    patches = (image_size // patch_size) ** 2
    per_image = {"pixel_shuffle": patches // factor**2, "qformer": n_queries, "gated_cross_attention": 1}.get(
        bridge, patches
    )
    turns = context // (per_image + text_per_turn)
    return {"per_image": per_image, "turns": turns, "left": context - turns * (per_image + text_per_turn)}


@pytest.fixture
def projectors():
    return {"linear": nn.Linear(8, 12), "mlp": nn.Sequential(nn.Linear(8, 12), nn.GELU(), nn.Linear(12, 12))}


def test_without_a_kernel_there_is_a_figure(projectors):
    assert not explorers.is_live()
    assert isinstance(explorers.budget_explorer(token_budget), Exhibit)
    assert isinstance(explorers.concatenation_explorer(projectors, 8), Exhibit)


def test_the_still_budget_tells_every_bridge():
    shown = explorers.budget_explorer(token_budget, live=False)
    assert [row[:3] for row in shown.table.cells()] == [
        ["linear", "576", "12"],
        ["mlp", "576", "12"],
        ["pixel_shuffle", "144", "40"],
        ["qformer", "32", "89"],
        ["gated_cross_attention", "1", "134"],
    ]


def test_moving_a_control_redraws_the_budget():
    box = explorers.budget_explorer(token_budget, live=True)
    controls, screen = {c.description: c for c in box.children[:-1]}, box.children[-1]
    before = screen.value
    controls["picture side in pixels"].value = 672
    assert screen.value != before
    assert "linear: 2304 tokens a picture, 3 turns" in screen.value


def test_a_patch_that_does_not_divide_is_said_in_the_figure():
    box = explorers.budget_explorer(token_budget, live=True)
    controls, screen = {c.description: c for c in box.children[:-1]}, box.children[-1]
    controls["picture side in pixels"].value, controls["patch side"].value = 448, 16
    assert "linear: 784 tokens" in screen.value

    def nothing_divides(*_, **__):
        raise ValueError("14 does not divide 225")

    assert "does not divide" in explorers.budget_explorer(nothing_divides, live=False).alt


def test_the_toggle_changes_the_projector_and_the_step_changes_the_stage(projectors):
    box = explorers.concatenation_explorer(projectors, 8, live=True)
    controls, screen = {c.description: c for c in box.children[:-1]}, box.children[-1]
    assert "Step 0, linear projector" in screen.value
    controls["projector"].value = "mlp"
    controls["step"].value = 3
    controls["patches a side"].value = 4
    assert "Step 3, mlp projector" in screen.value
    assert "16 patch tokens of width 8 become 16 tokens of width 12" in screen.value
    assert "sequence of 22" in screen.value


def test_the_explorer_draws_what_the_learners_module_computes(projectors):
    before = explorers.concatenation_explorer(projectors, 8, live=False).png
    with torch.no_grad():
        projectors["linear"].weight.mul_(-1)
    assert explorers.concatenation_explorer(projectors, 8, live=False).png != before
