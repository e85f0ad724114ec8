"""Misconception: The frozen parts stay in training mode.

Tell: Your frozen parts take no gradient, but they are in training mode: dropout makes the frozen
language model random, and a batch norm's statistics drift at every step although nothing 'trains'. Put
them in eval mode.
Caught by: a_later_train_wakes_nobody_up, frozen_parts_stay_in_eval_mode,
a_training_step_changes_nothing_frozen, gradients_pass_through_frozen_parts
"""


def freeze(model, trainable):
    parts = dict(model.named_children())
    unknown = [name for name in trainable if name not in parts]
    if unknown:
        raise ValueError(f"the model has no part called {unknown}; its parts are {', '.join(parts)}.")
    model.requires_grad_(False)
    for name in trainable:
        parts[name].requires_grad_(True)
    model.train()
    return [parameter for parameter in model.parameters() if parameter.requires_grad]
