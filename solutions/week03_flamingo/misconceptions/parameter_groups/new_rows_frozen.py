"""Misconception: nothing in the language model trains.

Tell: The embedding is frozen as a whole. The rows of new tokens are random numbers, and stay so: the model
never learns what its tag means.
Caught by: blocks_and_resampler_train, only_what_trains_asks_for_a_gradient, only_new_rows_get_a_gradient,
each_trainable_parameter_is_there_once, an_id_beyond_the_embedding_is_refused
"""


def parameter_groups(model, new_ids, weight_decay):
    lm = model.language_model
    embedding = lm.model.embed_tokens.weight
    for i in new_ids.tolist():
        if not 0 <= i < len(embedding):
            raise ValueError(f"there is no row {i}; the embedding has rows 0 to {len(embedding) - 1}.")
    model.requires_grad_(True)
    lm.requires_grad_(False)

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
