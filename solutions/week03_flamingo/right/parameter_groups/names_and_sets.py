"""Right: names first, in two sets; gradients of old rows filled with zeros by index."""

import torch


def parameter_groups(model, new_ids, weight_decay):
    named = dict(model.named_parameters())
    table = "language_model.model.embed_tokens.weight"
    last = named[table].size(0) - 1
    for i in map(int, new_ids):
        if i > last or i < 0:
            raise ValueError(f"id {i} is not in 0..{last}; enlarge the embedding")

    trains = {name for name in named if name.split(".")[0] != "language_model"}
    if len(new_ids):
        trains.add(table)
        old = torch.ones(last + 1, dtype=torch.bool)
        old[new_ids] = False
        named[table].register_hook(lambda g: g.index_fill(0, old.nonzero()[:, 0], 0.0))
    for name, p in named.items():
        p.requires_grad_(name in trains)

    sleeper = model.language_model
    wake = model.train

    def train(mode=True):
        wake(mode)
        for module in sleeper.modules():
            module.training = False
        return model

    model.train = train
    train()
    decays = {n for n in trains if n.startswith("blocks.") and named[n].squeeze().ndim == 2}
    return [
        {"params": [named[n] for n in named if n in decays], "weight_decay": weight_decay},
        {"params": [named[n] for n in named if n in trains - decays], "weight_decay": 0.0},
    ]
