"""The layer debugger: two modules side by side, and the first sub-module where they part.

A parity test says that two modules differ. That is half of an answer. This one says where.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from course_lib.errors import ShapeError


@dataclass(frozen=True)
class Step:
    """One sub-module that both sides have: how far its input and its output differ."""

    name: str
    input_gap: float
    output_gap: float


@dataclass(frozen=True)
class Comparison:
    """What `first_difference` found, in the order in which the sub-modules ran.

    Args:
        steps: the sub-modules both sides have; the last one, called "(whole)", is the modules themselves.
        tolerance: the largest gap that still counts as equal.
    """

    steps: tuple[Step, ...]
    tolerance: float

    @property
    def same(self) -> bool:
        """True if the two modules agree at the end."""
        return self.steps[-1].output_gap <= self.tolerance

    @property
    def first(self) -> str | None:
        """Where the two part: a sub-module's name, or what lies before it; None if they agree."""
        for before, step in zip((None, *self.steps), self.steps, strict=False):
            if step.input_gap > self.tolerance:
                return f"between {before.name if before else 'the start'} and {step.name}"
            if step.output_gap > self.tolerance:
                return f"after {before.name}" if step.name == "(whole)" and before else step.name
        return None

    def __str__(self) -> str:
        lines = [
            f"{'[OK]  ' if self._agrees(step) else '[FAIL]'} {step.name}: {self._gaps(step)}"
            for step in self.steps
        ]
        verdict = "the two agree." if self.first is None else f"they part {self._where()}."
        return "\n".join([*lines, verdict])

    def _where(self) -> str:
        first = str(self.first)
        return first if first.startswith(("between", "after")) else f"in {first}"

    def _agrees(self, step: Step) -> bool:
        return step.input_gap <= self.tolerance and step.output_gap <= self.tolerance

    def _gaps(self, step: Step) -> str:
        return f"input differs by {step.input_gap:.1e}, output by {step.output_gap:.1e}"


def first_difference(
    ours: nn.Module, theirs: nn.Module, *inputs: Tensor, tolerance: float = 1e-5
) -> Comparison:
    """Run two modules on the same inputs and find the first sub-module where they part.

    Sub-modules are paired by name. One that receives another input than its twin is not to blame: what lies
    between it and the one before is, be it a function without weights, such as an activation.

    Raises:
        ShapeError: the two have no sub-module of the same name.
    """
    names = [name for name, _ in theirs.named_modules() if name and name in dict(ours.named_modules())]
    if not names:
        raise ShapeError(
            f"the two share no sub-module: one has {_names(ours)}, the other {_names(theirs)}; "
            "give yours the names that the checkpoint uses."
        )
    seen_ours, _ = _run(ours, names, inputs)
    seen_theirs, order = _run(theirs, names, inputs)
    steps = []
    for name in [*(name for name in order if name in seen_ours), ""]:
        (our_in, our_out), (their_in, their_out) = seen_ours[name], seen_theirs[name]
        steps.append(Step(name or "(whole)", _gap(our_in, their_in), _gap(our_out, their_out)))
    return Comparison(tuple(steps), tolerance)


def _run(module: nn.Module, names: list[str], inputs: tuple[Tensor, ...]) -> tuple[dict[str, Any], list[str]]:
    seen: dict[str, Any] = {}
    order: list[str] = []
    handles = []

    def keep_as(name: str) -> Any:
        def keep(_: nn.Module, args: Any, output: Any) -> None:
            seen[name] = (_tensor(args), _tensor(output))
            if name:
                order.append(name)

        return keep

    for name, part in module.named_modules():
        if name in names or not name:
            handles.append(part.register_forward_hook(keep_as(name)))
    try:
        with torch.no_grad():
            module(*inputs)
    finally:
        for handle in handles:
            handle.remove()
    return seen, list(dict.fromkeys(order))


def _tensor(value: Any) -> Tensor | None:
    if isinstance(value, Tensor):
        return value
    if isinstance(value, tuple | list):
        return next((item for item in value if isinstance(item, Tensor)), None)
    return None


def _gap(left: Tensor | None, right: Tensor | None) -> float:
    if left is None or right is None:
        return 0.0
    if left.shape != right.shape:
        return float("inf")
    gap = (left.detach().double() - right.detach().double()).abs().nan_to_num(nan=torch.inf)
    return float(gap.max()) if gap.numel() else 0.0


def _names(module: nn.Module) -> str:
    return ", ".join(name for name, _ in module.named_modules() if name) or "none"
