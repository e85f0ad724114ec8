"""Misconception: model.train() and model.eval() do nothing any more.

Tell: You replaced train() by one that does nothing. The language model sleeps, and the blocks never do:
their dropout is awake when you evaluate.
Caught by: the_language_model_sleeps_through_train, gradients_pass_through_the_frozen_model,
only_new_rows_get_a_gradient
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

    model.train()
    lm.eval()
    model.train = lambda mode=True: model
    decayed, others = [], []
    for name, p in model.named_parameters():
        if p.requires_grad:
            decays = p.ndim == 2 and not name.startswith(("language_model.", "resampler."))
            (decayed if decays else others).append(p)
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
