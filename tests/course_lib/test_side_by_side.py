"""The layer debugger names the first sub-module that differs, and not one that only suffers from it."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from course_lib.errors import ShapeError
from course_lib.side_by_side import first_difference


class Projector(nn.Module):
    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        self.linear_1, self.linear_2 = nn.Linear(6, 8), nn.Linear(8, 8)
        self.approximate, self.scale = approximate, 1.0

    def forward(self, x):
        return self.linear_2(F.gelu(self.linear_1(x), approximate=self.approximate)) * self.scale


@pytest.fixture
def theirs():
    return Projector()


X = torch.linspace(-3, 3, 30).reshape(5, 6)


def test_a_copy_has_no_difference(theirs):
    found = first_difference(copy.deepcopy(theirs), theirs, X)
    assert found.same
    assert found.first is None
    assert str(found).splitlines()[-1] == "the two agree."


def test_a_wrong_weight_is_found_in_its_layer(theirs):
    ours = copy.deepcopy(theirs)
    with torch.no_grad():
        ours.linear_1.weight[0, 0] += 0.5
    found = first_difference(ours, theirs, X)
    assert found.first == "linear_1"
    assert not found.same


def test_a_wrong_second_layer_does_not_blame_the_first(theirs):
    ours = copy.deepcopy(theirs)
    with torch.no_grad():
        ours.linear_2.bias += 0.5
    found = first_difference(ours, theirs, X)
    assert found.first == "linear_2"
    assert str(found).startswith("[OK]   linear_1")


def test_a_function_without_weights_is_found_between_its_neighbours(theirs):
    ours = Projector(approximate="tanh")
    ours.load_state_dict(theirs.state_dict())
    found = first_difference(ours, theirs, X * 2)
    assert found.first == "between linear_1 and linear_2"


def test_what_comes_after_the_last_layer_is_found_too(theirs):
    ours = copy.deepcopy(theirs)
    ours.scale = 2.0
    assert first_difference(ours, theirs, X).first == "after linear_2"


def test_not_a_number_counts_as_a_difference(theirs):
    ours = copy.deepcopy(theirs)
    with torch.no_grad():
        ours.linear_2.bias.fill_(float("nan"))
    assert first_difference(ours, theirs, X).first == "linear_2"


def test_strangers_are_refused_by_the_names_they_have(theirs):
    ours = nn.Sequential(nn.Linear(6, 8))
    with pytest.raises(ShapeError, match=r"one has 0, the other linear_1, linear_2"):
        first_difference(ours, theirs, X)


def test_no_hook_is_left_behind(theirs):
    ours = copy.deepcopy(theirs)
    first_difference(ours, theirs, X)
    assert not any(part._forward_hooks for module in (ours, theirs) for part in module.modules())
