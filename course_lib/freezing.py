"""Freezing: a part of a model stays as it is, and still passes gradients on.

A frozen part has three duties, and a bug in any of them goes unreported. Its parameters take no gradient. Its
dropout and batch statistics stay in eval mode, even when the training loop calls `model.train()`. Gradients
flow *through* it, because the bridge lies before the language model.

Source: eval mode that survives `train()` is BLIP-2's `disabled_train` (LAVIS, blip2.py).
"""

from collections.abc import Sequence

from torch import nn


def freeze(model: nn.Module, trainable: Sequence[str]) -> list[nn.Parameter]:
    """Freeze everything but the named parts, and return what the optimiser may change.

    Called again with other names, it starts afresh: a part that was frozen before trains if it is named now.

    Args:
        model: changed in place; its `train` method is replaced by one that leaves frozen parts in eval mode.
        trainable: names of direct submodules of `model`.

    Returns:
        The parameters of the named parts, in the model's order, each once.

    Raises:
        ValueError: a name is not that of a direct submodule.
    """
    parts = dict(model.named_children())
    unknown = [name for name in trainable if name not in parts]
    if unknown:
        raise ValueError(
            f"the model has no part called {', '.join(map(repr, unknown))}; its parts are {', '.join(parts)}."
        )
    model.requires_grad_(False)
    for name in trainable:
        parts[name].requires_grad_(True)
    frozen = [part for name, part in parts.items() if name not in trainable]

    def train(mode: bool = True) -> nn.Module:
        type(model).train(model, mode)
        for part in frozen:
            part.eval()
        return model

    model.train = train  # type: ignore[method-assign]
    model.train()
    return [parameter for parameter in model.parameters() if parameter.requires_grad]
