"""Misconception: The named parts are the ones that get frozen.

Tell: Your freeze takes the list for the parts to freeze: the bridge is frozen, and encoder and language
model train. The names are those of the parts that stay trainable.
Caught by: the_bridge_alone_is_handed_to_the_optimiser, a_later_train_wakes_nobody_up,
it_returns_what_the_optimiser_may_change, only_the_named_parts_ask_for_gradients,
frozen_parts_stay_in_eval_mode, a_training_step_changes_nothing_frozen,
gradients_pass_through_frozen_parts, an_unknown_name_is_an_error_that_lists_the_known
"""


def freeze(model, trainable):
    parts = dict(model.named_children())
    unknown = [name for name in trainable if name not in parts]
    if unknown:
        raise ValueError(f"the model has no part called {unknown}; its parts are {', '.join(parts)}.")
    model.requires_grad_(True)
    for name in trainable:
        parts[name].requires_grad_(False)
    frozen = [part for name, part in parts.items() if name in trainable]

    def train(mode=True):
        type(model).train(model, mode)
        for part in frozen:
            part.eval()
        return model

    model.train = train
    model.train()
    return [parameter for parameter in model.parameters() if parameter.requires_grad]
