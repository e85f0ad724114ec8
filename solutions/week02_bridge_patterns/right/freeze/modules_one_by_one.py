"""Right: every module of a frozen part pinned by itself, parameters told apart by identity."""


def freeze(model, trainable):
    parts = dict(model.named_children())
    for name in trainable:
        if name not in parts:
            raise ValueError(f"unknown part {name}; there are: " + ", ".join(parts))
    training = {id(p) for name in trainable for p in parts[name].parameters()}
    for p in model.parameters():
        p.requires_grad_(id(p) in training)

    for name, part in parts.items():
        for module in part.modules():
            if name in trainable:
                vars(module).pop("train", None)
                module.training = True
            else:
                module.training = False
                module.train = lambda mode=True, module=module: module
    return [p for p in model.parameters() if id(p) in training]
