"""Misconception: what comes out of the frozen encoder is detached.

Tell: You detach what enters the resampler. It learns all the same, but nobody can ask any more what in the
picture mattered.
Caught by: gradients_pass_through_the_frozen_model
"""

import torch


def parameter_groups(model, new_ids, weight_decay):
    lm = model.language_model
    embedding = lm.model.embed_tokens.weight
    for i in new_ids.tolist():
        if not 0 <= i < len(embedding):
            raise ValueError(f"there is no row {i}; the embedding has rows 0 to {len(embedding) - 1}.")
    model.requires_grad_(True)
    lm.requires_grad_(False)
    if len(new_ids):
        embedding.requires_grad_(True)
        is_new = torch.zeros(len(embedding), 1)
        is_new[new_ids] = 1.0
        embedding.register_hook(lambda gradient: gradient * is_new)

    def detached(part, args):
        return (args[0].detach(), *args[1:])

    model.resampler.register_forward_pre_hook(detached)

    def train(mode=True):
        type(model).train(model, mode)
        lm.eval()
        return model

    model.train = train
    model.train()
    decayed, others = [], []
    for name, p in model.named_parameters():
        if p.requires_grad:
            decays = p.ndim == 2 and not name.startswith(("language_model.", "resampler."))
            (decayed if decays else others).append(p)
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
