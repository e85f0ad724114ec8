"""Right: the language model gets a train() of its own; parameters told apart by identity."""


def parameter_groups(model, new_ids, weight_decay):
    lm = model.language_model
    table = lm.model.embed_tokens.weight
    n = table.shape[0]
    strangers = [i for i in new_ids.tolist() if i < 0 or i >= n]
    if strangers:
        raise ValueError(f"no row for {strangers}: the last row is {n - 1}")

    frozen = {id(p) for p in lm.parameters()}
    for p in model.parameters():
        p.requires_grad = id(p) not in frozen

    for module in lm.modules():
        module.training = False
        module.train = lambda mode=True, module=module: module
    model.train(True)

    trained = [p for p in model.parameters() if p.requires_grad]
    if new_ids.numel() > 0:
        old = [i for i in range(n) if i not in set(new_ids.tolist())]

        def forget_old_rows(weight):
            weight.grad[old] = 0

        table.requires_grad = True
        table.register_post_accumulate_grad_hook(forget_old_rows)
        trained.append(table)
    resampled = {id(p) for p in model.resampler.parameters()}
    heavy = [p for p in trained if p.dim() == 2 and id(p) not in resampled and p is not table]
    heavy_ids = set(map(id, heavy))
    light = [p for p in trained if id(p) not in heavy_ids]
    return [dict(params=heavy, weight_decay=weight_decay), dict(params=light, weight_decay=0.0)]
