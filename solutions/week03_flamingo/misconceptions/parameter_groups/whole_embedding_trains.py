"""Misconception: requires_grad on the embedding trains the new rows.

Tell: All rows of the embedding get a gradient, so every word the language model knows drifts, and with it
what it says without a picture. Set the gradient of the old rows to 0 by a hook on the embedding's weight.
Caught by: only_new_rows_get_a_gradient
"""


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
