"""Misconception: A name that does not exist is passed over in silence.

Tell: A misspelt name makes no difference in your version: nothing trains, and nobody hears about it
until the loss has been flat for an hour. Compare the names with named_children() and raise a ValueError
that lists them.
Caught by: an_unknown_name_is_an_error_that_lists_the_known
"""


def freeze(model, trainable):
    parts = dict(model.named_children())
    model.requires_grad_(False)
    for name in set(trainable) & set(parts):
        parts[name].requires_grad_(True)
    frozen = [part for name, part in parts.items() if name not in trainable]

    def train(mode=True):
        type(model).train(model, mode)
        for part in frozen:
            part.eval()
        return model

    model.train = train
    model.train()
    return [parameter for parameter in model.parameters() if parameter.requires_grad]
