"""Misconception: Parameters are collected name by name.

Tell: You collect the parameters part by part in the order of the given names, so their order depends on
how the list is written, and a name given twice hands its parameters over twice; torch's optimisers
refuse that. Go through the model instead.
Caught by: it_returns_what_the_optimiser_may_change
"""


def freeze(model, trainable):
    parts = dict(model.named_children())
    unknown = [name for name in trainable if name not in parts]
    if unknown:
        raise ValueError(f"the model has no part called {unknown}; its parts are {', '.join(parts)}.")
    model.requires_grad_(False)
    for name in trainable:
        parts[name].requires_grad_(True)
    frozen = [part for name, part in parts.items() if name not in trainable]

    def train(mode=True):
        type(model).train(model, mode)
        for part in frozen:
            part.eval()
        return model

    model.train = train
    model.train()
    return [parameter for name in trainable for parameter in parts[name].parameters()]
