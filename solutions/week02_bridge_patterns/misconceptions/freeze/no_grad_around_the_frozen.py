"""Misconception: The frozen parts run under torch.no_grad().

Tell: Your frozen parts run under no_grad, which cuts the computation itself: the language model comes
after the bridge, so no gradient can reach the bridge and it never learns. Freeze the parameters, and let
the gradient pass.
Caught by: a_training_step_changes_nothing_frozen, gradients_pass_through_frozen_parts
"""

import torch


def freeze(model, trainable):
    parts = dict(model.named_children())
    unknown = [name for name in trainable if name not in parts]
    if unknown:
        raise ValueError(f"the model has no part called {unknown}; its parts are {', '.join(parts)}.")
    model.requires_grad_(False)
    for name in trainable:
        parts[name].requires_grad_(True)
    frozen = [part for name, part in parts.items() if name not in trainable]

    for part in frozen:
        part.forward = torch.no_grad()(part.forward)

    def train(mode=True):
        type(model).train(model, mode)
        for part in frozen:
            part.eval()
        return model

    model.train = train
    model.train()
    return [parameter for parameter in model.parameters() if parameter.requires_grad]
