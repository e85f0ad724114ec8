"""Who can affect whom, found by trying: held against models of which one knows."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib import stand_ins
from course_lib.errors import ShapeError
from course_lib.influence import influence_matrix

WIRES = torch.tensor([[1.0, 0.0, 1e-6], [0.0, 0.0, 0.0], [2.0, -1.0, 0.0], [0.0, 0.0, 3.0]])


def inputs(*shapes: tuple[int, ...], seed: int = 3) -> list[Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=draw) for shape in shapes or ((2, 5), (7,), (1, 3, 4))]


def known(name: str) -> nn.Module:
    model = stand_ins.build(name, n_inputs=3, n_outputs=4)
    model.load_state_dict({"wires": WIRES, "scale": torch.tensor([0.0, 1.5, 0.0])}, strict=False)
    return model.eval()


@pytest.mark.parametrize(
    "name", ["tiny_wires", "tiny_ranks", "tiny_products", "tiny_scribbler", "tiny_reuser"]
)
def test_the_matrix_is_the_list_of_wires(name: str) -> None:
    assert torch.equal(influence_matrix(known(name), inputs()), WIRES != 0)


def test_a_path_that_is_mostly_shut_takes_more_tries_than_one() -> None:
    given = [-one.abs() for one in inputs()]
    assert torch.equal(influence_matrix(known("tiny_shut"), given, tries=60), WIRES != 0)
    few = [influence_matrix(known("tiny_shut"), given, tries=1, seed=seed).sum().item() for seed in range(8)]
    assert min(few) < (WIRES != 0).sum()


def test_a_zero_factor_hides_the_others_and_shows_itself() -> None:
    model, given = known("tiny_products"), inputs()
    given[0].zero_()
    assert influence_matrix(model, given).tolist() == [
        [True, False, False],
        [False, False, False],
        [True, False, False],
        [False, False, True],
    ]


def test_inputs_are_left_as_they_were_and_no_gradient_is_kept() -> None:
    given, before = inputs(), inputs()
    found = influence_matrix(known("tiny_scribbler"), given)
    assert all(torch.equal(old, new) for old, new in zip(before, given, strict=True))
    assert not found.requires_grad


def test_a_model_that_is_awake_is_refused_and_told_what_to_do() -> None:
    model = known("tiny_wires").train()
    model.get_parameter("scale").data.fill_(1.0)
    with pytest.raises(ShapeError, match="eval"):
        influence_matrix(model, inputs())


@pytest.mark.parametrize(("given", "tries"), [([], 3), (inputs(), 0), (inputs(), -1)])
def test_nothing_to_try_is_refused(given: list[Tensor], tries: int) -> None:
    with pytest.raises(ShapeError, match=str(tries)):
        influence_matrix(known("tiny_wires"), given, tries=tries)


def test_a_model_in_double_precision_gets_doubles() -> None:
    model = nn.Linear(4, 3).double()
    given = [torch.randn(2, 4).double(), torch.randn(5, 4).double()]
    assert influence_matrix(lambda x: [model(one) for one in x], given).tolist() == [
        [True, False],
        [False, True],
    ]


def test_a_norm_over_the_row_lets_every_token_hear_every_other() -> None:
    tokens = inputs((6,), (6,), (6,), (6,))
    apart = influence_matrix(lambda given: [*F.layer_norm(torch.stack(given), (6,))], tokens)
    together = influence_matrix(lambda given: [*F.layer_norm(torch.stack(given), (4, 6))], tokens)
    assert torch.equal(apart, torch.eye(4, dtype=torch.bool))
    assert together.all()


@pytest.mark.parametrize("n_layers", [1, 2, 3])
def test_layers_of_masked_attention_reach_as_far_as_the_masks_power(n_layers: int) -> None:
    n = 6
    sees = torch.ones(n, n, dtype=torch.bool).tril() & torch.ones(n, n, dtype=torch.bool).triu(-1)

    def run(given: list[Tensor]) -> list[Tensor]:
        x = torch.stack(given)[None]
        for _ in range(n_layers):
            x = F.scaled_dot_product_attention(x, x, x, attn_mask=sees)
        return [*x[0]]

    reach = torch.linalg.matrix_power(sees.float(), n_layers) > 0
    assert torch.equal(influence_matrix(run, inputs(*[(8,)] * n)), reach)
