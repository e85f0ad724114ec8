"""Right: the model changes its class; matrices are the weights of linear layers."""

import torch
from torch import nn


def parameter_groups(model, new_ids, weight_decay):
    weight = model.language_model.model.embed_tokens.weight
    rows = len(weight)
    if ((new_ids < 0) | (new_ids >= rows)).any():
        raise ValueError(f"ids {sorted(new_ids.tolist())} must lie between 0 and {rows - 1}")

    class PartlyFrozen(type(model)):
        def train(self, mode=True):
            super().train(mode)
            self.language_model.train(False)
            return self

    model.__class__ = PartlyFrozen
    for name, p in model.named_parameters():
        p.requires_grad_(not name.startswith("language_model."))
    keep = torch.isin(torch.arange(rows), new_ids)
    if keep.any():
        weight.requires_grad_(True)
        weight.register_hook(lambda g: torch.where(keep[:, None], g, torch.zeros_like(g)))
    model.train()
    linear = {m.weight for m in model.blocks.modules() if isinstance(m, nn.Linear)}
    rest = [p for p in model.parameters() if p.requires_grad and p not in linear]
    return [{"params": list(linear), "weight_decay": weight_decay}, {"params": rest, "weight_decay": 0}]
