"""Misconception: The named parts are frozen as well.

Tell: After your freeze nothing asks for a gradient, the bridge included, so there is nothing left to
train. After freezing everything, wake the named parts up again.
Caught by: the_bridge_alone_is_handed_to_the_optimiser, it_returns_what_the_optimiser_may_change,
only_the_named_parts_ask_for_gradients, a_training_step_changes_nothing_frozen,
gradients_pass_through_frozen_parts, an_unknown_name_is_an_error_that_lists_the_known
"""


def freeze(model, trainable):
    parts = dict(model.named_children())
    unknown = [name for name in trainable if name not in parts]
    if unknown:
        raise ValueError(f"the model has no part called {unknown}; its parts are {', '.join(parts)}.")
    model.requires_grad_(False)
    frozen = [part for name, part in parts.items() if name not in trainable]

    def train(mode=True):
        type(model).train(model, mode)
        for part in frozen:
            part.eval()
        return model

    model.train = train
    model.train()
    return [parameter for parameter in model.parameters() if parameter.requires_grad]
