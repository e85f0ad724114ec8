"""Right: every frozen part gets a train() that keeps it in eval mode, and loses it when it is named later."""

import types

from torch import nn


def stay_asleep(part: nn.Module, mode: bool = True) -> nn.Module:
    return nn.Module.train(part, False)


def freeze(model, trainable):
    parts = dict(model.named_children())
    for name in trainable:
        if name not in parts:
            raise ValueError(f"{name!r} is not a part of this model; known parts: {sorted(parts)}")
    chosen = set(trainable)
    for parameter in model.parameters(recurse=False):
        parameter.requires_grad = False
    for name, part in parts.items():
        for parameter in part.parameters():
            parameter.requires_grad = name in chosen
        if name in chosen:
            part.__dict__.pop("train", None)
        else:
            part.train = types.MethodType(stay_asleep, part)
        part.train()
    return [p for p in model.parameters() if p.requires_grad]
