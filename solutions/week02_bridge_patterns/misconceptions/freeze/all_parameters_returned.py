"""Misconception: All parameters are returned.

Tell: You hand the optimiser every parameter. Those without a gradient are skipped, until one has a stale
gradient or the optimiser keeps two numbers of state for each of billions. Return those that train, and
no others.
Caught by: the_bridge_alone_is_handed_to_the_optimiser, it_returns_what_the_optimiser_may_change,
an_unknown_name_is_an_error_that_lists_the_known
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
    return [parameter for parameter in model.parameters()]
