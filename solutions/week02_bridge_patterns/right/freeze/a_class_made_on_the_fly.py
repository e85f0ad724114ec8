"""Right: the model changes its class for one whose train() knows the frozen parts."""


def freeze(model, trainable):
    kind = type(model)
    known = [name for name, _ in model.named_children()]
    strangers = sorted(set(trainable) - set(known))
    if strangers:
        raise ValueError("no such part: " + " ".join(strangers) + "; choose from " + " ".join(known))
    asleep = [name for name in known if name not in trainable]
    base = kind.__mro__[1] if kind.__name__.startswith("PartlyFrozen") else kind

    class PartlyFrozen(base):
        def train(self, mode=True):
            super().train(mode)
            for name in asleep:
                getattr(self, name).train(False)
            return self

    model.__class__ = PartlyFrozen
    handed_over = []
    for name, parameter in model.named_parameters():
        trains = name.partition(".")[0] in trainable and "." in name
        parameter.requires_grad_(trains)
        if trains:
            handed_over.append(parameter)
    model.train()
    return handed_over
