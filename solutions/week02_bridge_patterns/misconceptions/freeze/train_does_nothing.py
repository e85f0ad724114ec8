"""Misconception: model.train() and model.eval() do nothing any more.

Tell: You replaced train() by a method that does nothing, so the frozen parts stay in eval mode, and the
bridge stays in training mode even when the model is evaluated: its dropout would blur every answer. The
parts that train have to follow.
Caught by: frozen_parts_stay_in_eval_mode, a_training_step_changes_nothing_frozen
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
    model.train = lambda mode=True: model
    return [parameter for parameter in model.parameters() if parameter.requires_grad]
