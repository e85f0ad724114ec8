"""Misconception: Parameters that belong to no part are left free.

Tell: You freeze part by part, so a parameter that belongs to the model itself (a class token, a
separator, a position) is missed and still trains. Start from the whole model.
Caught by: the_bridge_alone_is_handed_to_the_optimiser, it_returns_what_the_optimiser_may_change,
only_the_named_parts_ask_for_gradients, a_training_step_changes_nothing_frozen,
an_unknown_name_is_an_error_that_lists_the_known
"""


def freeze(model, trainable):
    parts = dict(model.named_children())
    unknown = [name for name in trainable if name not in parts]
    if unknown:
        raise ValueError(f"the model has no part called {unknown}; its parts are {', '.join(parts)}.")
    for name, part in parts.items():
        part.requires_grad_(name in trainable)
    frozen = [part for name, part in parts.items() if name not in trainable]

    def train(mode=True):
        type(model).train(model, mode)
        for part in frozen:
            part.eval()
        return model

    model.train = train
    model.train()
    return [parameter for parameter in model.parameters() if parameter.requires_grad]
