"""Misconception: The whole model stays in eval mode.

Tell: You pinned the whole model in eval mode, the bridge included. The parts that train need their
dropout and their batch statistics: only the others stay asleep.
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

    def train(mode=True):
        type(model).train(model, False)
        return model

    model.train = train
    model.train()
    return [parameter for parameter in model.parameters() if parameter.requires_grad]
