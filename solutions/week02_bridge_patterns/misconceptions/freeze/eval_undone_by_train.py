"""Misconception: eval() is called once, and model.train() undoes it.

Tell: You put the frozen parts in eval mode once. The first line of nearly every training loop is
model.train(), and it wakes them all up again. Give the model, or its frozen parts, a train() that leaves
them asleep.
Caught by: a_later_train_wakes_nobody_up, frozen_parts_stay_in_eval_mode,
a_training_step_changes_nothing_frozen
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

    model.train()
    for part in frozen:
        part.eval()
    return [parameter for parameter in model.parameters() if parameter.requires_grad]
