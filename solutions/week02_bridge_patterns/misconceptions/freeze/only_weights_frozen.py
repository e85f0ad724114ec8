"""Misconception: Biases and norms are left out.

Tell: You freeze the weight matrices and leave the biases (and whatever else is not called weight) free.
A language model whose biases drift is not the one you started from.
Caught by: the_bridge_alone_is_handed_to_the_optimiser, it_returns_what_the_optimiser_may_change,
only_the_named_parts_ask_for_gradients, a_training_step_changes_nothing_frozen,
an_unknown_name_is_an_error_that_lists_the_known
"""


def freeze(model, trainable):
    parts = dict(model.named_children())
    unknown = [name for name in trainable if name not in parts]
    if unknown:
        raise ValueError(f"the model has no part called {unknown}; its parts are {', '.join(parts)}.")
    for name, parameter in model.named_parameters():
        if name.endswith("weight"):
            parameter.requires_grad_(False)
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
    return [parameter for parameter in model.parameters() if parameter.requires_grad]
