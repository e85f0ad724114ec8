"""Misconception: What the encoder hands to the bridge is detached.

Tell: You detach what comes out of the frozen part before the bridge. The bridge still learns, but no
gradient reaches the picture any more, so nobody can ask what in it mattered, or train anything before
the encoder. Frozen means that no gradient goes into the weights, not that none goes through.
Caught by: gradients_pass_through_frozen_parts
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

    first = next(iter(parts))
    if parts[first] in frozen:
        parts[first].register_forward_hook(lambda module, inputs, output: output.detach())

    def train(mode=True):
        type(model).train(model, mode)
        for part in frozen:
            part.eval()
        return model

    model.train = train
    model.train()
    return [parameter for parameter in model.parameters() if parameter.requires_grad]
