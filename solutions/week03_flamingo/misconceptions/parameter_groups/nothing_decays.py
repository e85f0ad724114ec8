"""Misconception: a model that is mostly frozen needs no decay.

Tell: Nothing decays: the group of matrices has weight_decay 0.0, or holds nothing. The argument is for the
blocks' matrices.
Caught by: what_decays_are_the_matrices_of_the_blocks
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
    others = [p for p in model.parameters() if p.requires_grad]
    return [{"params": [], "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
