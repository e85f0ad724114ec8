"""Misconception: the embedding is a matrix, so it decays.

Tell: Your embedding decays. AdamW shrinks every number of it at every step, those of the frozen rows too:
they have no gradient to hold against it, and words fade that nobody trains.
Caught by: two_groups_for_the_optimiser, what_decays_are_the_matrices_of_the_blocks
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

    def train(mode=True):
        type(model).train(model, mode)
        lm.eval()
        return model

    model.train = train
    model.train()
    decayed, others = [], []
    for name, p in model.named_parameters():
        if p.requires_grad:
            decays = p.ndim == 2 and not name.startswith("resampler.")
            (decayed if decays else others).append(p)
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
