"""Misconception: A part that was frozen once stays frozen.

Tell: Your freeze only ever freezes. In a second phase of training, when the language model is named too,
it stays as it was. Each call should start afresh.
Caught by: only_the_named_parts_ask_for_gradients
"""


def freeze(model, trainable):
    parts = dict(model.named_children())
    unknown = [name for name in trainable if name not in parts]
    if unknown:
        raise ValueError(f"the model has no part called {unknown}; its parts are {', '.join(parts)}.")
    for name, parameter in model.named_parameters():
        if name.split(".")[0] not in trainable:
            parameter.requires_grad_(False)
    frozen = [part for name, part in parts.items() if name not in trainable]

    def train(mode=True):
        type(model).train(model, mode)
        for part in frozen:
            part.eval()
        return model

    model.train = train
    model.train()
    return [parameter for parameter in model.parameters() if parameter.requires_grad]
