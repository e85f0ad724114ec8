"""Plain models of which one knows who hears whom: a list of tensors in, a list of tensors out.

They stand in for a model whose inside is to be found out by trying. Each output adds up what it hears of
every input, times a weight in `wires`: a zero there is a wire that is not there. What is heard of an input is
one number, and the classes differ in how they hear.

Axes in this file:
    o  outputs    n  inputs    k  numbers of one output    c  calls so far    m  numbers of all inputs
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

K = 3


class TinyWires(nn.Module):
    """Hears the mean of an input. In training mode its dropout is awake.

    Args:
        n_inputs: how many tensors go in, of any shapes.
        n_outputs: how many come out.

    Shapes:
        given    a list of n tensors of floats
        returns  a list of o tensors, float[k]

    Buffers:
        given    float[c m]   for whoever wants to know: all numbers of each call, input after input
    """

    given: Tensor

    def __init__(self, n_inputs: int, n_outputs: int) -> None:
        super().__init__()
        self.wires = nn.Parameter(torch.randn(n_outputs, n_inputs))
        self.scale = nn.Parameter(torch.randn(K))  # a zero: a number that nothing moves
        self.dropout = nn.Dropout(0.5)
        self.register_buffer("given", torch.zeros(0, 0))

    def hear(self, one: Tensor) -> Float[Tensor, ""]:
        """One number of an input."""
        return torch.tanh(one.mean())

    def add(self, heard: Float[Tensor, " n"]) -> Float[Tensor, " o"]:
        """One number of all that an output hears."""
        return self.wires @ heard

    def forward(self, given: list[Tensor]) -> list[Tensor]:
        row = torch.cat([one.detach().flatten() for one in given]).float()[None]
        self.given = torch.cat([self.given, row]) if self.given.shape[1] == row.shape[1] else row
        heard = torch.stack([self.hear(one).float() for one in given])
        return [self.dropout(one * self.scale) for one in self.add(heard)]


class TinyShut(TinyWires):
    """Hears an input only where the sum of its numbers is large: a ReLU that is mostly shut."""

    def hear(self, one: Tensor) -> Float[Tensor, ""]:
        return torch.relu(one.sum() / one.numel() ** 0.5 - 0.3)


class TinyRanks(TinyWires):
    """Hears in what order the numbers of an input are, and not how large they are: no gradient comes back."""

    def hear(self, one: Tensor) -> Float[Tensor, ""]:
        order = one.detach().flatten().argsort(stable=True).to(torch.float32)
        return (order * torch.linspace(0.1, 1.0, len(order)).sqrt()).sum() / len(order)


class TinyProducts(TinyWires):
    """Multiplies what an output hears: where one factor is zero, nothing else is heard."""

    def add(self, heard: Float[Tensor, " n"]) -> Float[Tensor, " o"]:
        return torch.where(self.wires != 0, self.wires * heard, torch.ones(())).prod(dim=1)


class TinyScribbler(TinyWires):
    """Writes into what it is given, as an in-place operation does."""

    def forward(self, given: list[Tensor]) -> list[Tensor]:
        found = super().forward(given)
        for one in given:
            one.mul_(0.5).add_(0.1)
        return found


class TinyReuser(TinyWires):
    """Hands out the same tensors at every call, with new numbers in them."""

    def __init__(self, n_inputs: int, n_outputs: int) -> None:
        super().__init__(n_inputs, n_outputs)
        self.out: Tensor
        self.register_buffer("out", torch.zeros(n_outputs, K))

    def forward(self, given: list[Tensor]) -> list[Tensor]:
        self.out.copy_(torch.stack(super().forward(given)).detach())
        return list(self.out)
