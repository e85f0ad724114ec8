"""Who can affect whom, found by trying: change one input, and see which outputs move.

An attention map shows where a layer looks, and a mask who may look. Neither says what can reach what through
a whole model. This does, and it needs to know nothing about the model.

Axes in this file:
    o  outputs    n  inputs
"""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Bool
from torch import Tensor

from course_lib.errors import ShapeError

Run = Callable[[list[Tensor]], Sequence[Tensor]]


@torch.no_grad()
def influence_matrix(
    run: Run, inputs: Sequence[Tensor], tries: int = 3, seed: int = 0
) -> Bool[Tensor, "o n"]:
    """True where an output changes when one input is replaced by random numbers and all others stay.

    Several tries, because one change can by chance leave an output as it was (a ReLU that stays shut).

    Args:
        run: called as run(inputs), gives a list of outputs. It must be deterministic.
        inputs: tensors of floats. They are not changed.
        tries: how many replacements to try for each input.
        seed: of the replacements.

    Shapes:
        returns  bool[o n]   row: an output, column: an input

    Raises:
        ShapeError: no input or no try, or two runs with the same inputs differ: then a change proves nothing.
    """
    if not inputs or tries < 1:
        raise ShapeError(f"{len(inputs)} inputs and {tries} tries; give at least one of each.")
    draw = torch.Generator().manual_seed(seed)
    before = [output.clone() for output in run([one.clone() for one in inputs])]
    again = run([one.clone() for one in inputs])
    if not all(_same(left, right) for left, right in zip(before, again, strict=True)):
        raise ShapeError("two runs with the same inputs differ; is dropout awake? Call eval() first.")
    moved = torch.zeros(len(before), len(inputs), dtype=torch.bool)
    for n in range(len(inputs)):
        for _ in range(tries):
            changed = [one.clone() for one in inputs]
            changed[n] = torch.randn(inputs[n].shape, generator=draw, dtype=inputs[n].dtype)
            after = run(changed)
            moved[:, n] |= torch.tensor(
                [not _same(left, right) for left, right in zip(before, after, strict=True)]
            )
    return moved


def _same(left: Tensor, right: Tensor) -> bool:
    return torch.equal(left, right)
