"""Misconception: torch refuses an id that is not there.

Tell: You leave the ids to torch. It refuses those past the end, by an IndexError which does not say what to
do; and -2 it takes for the last row but one, so that a wrong row trains in silence.
Caught by: an_id_beyond_the_embedding_is_refused
"""

import torch


def parameter_groups(model, new_ids, weight_decay):
    lm = model.language_model
    embedding = lm.model.embed_tokens.weight
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
            decays = p.ndim == 2 and not name.startswith(("language_model.", "resampler."))
            (decayed if decays else others).append(p)
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
