"""Right: four blocks, put together like a window, one pair after another."""

import torch


def qformer_mask(task, n_queries, text_keep):
    q, t = n_queries, text_keep.shape[1]
    full, none = (lambda r, c: torch.ones(r, c).bool()), (lambda r, c: torch.zeros(r, c).bool())
    quarters = {
        "contrast": ((full(q, q), none(q, t)), (none(t, q), full(t, t))),
        "match": ((full(q, q), full(q, t)), (full(t, q), full(t, t))),
        "write": ((full(q, q), none(q, t)), (full(t, q), full(t, t).tril())),
    }
    try:
        top, bottom = quarters[task]
    except KeyError:
        raise ValueError(f"{task}: none of {list(quarters)}") from None
    whole = torch.cat([torch.cat(top, dim=1), torch.cat(bottom, dim=1)])
    tables = []
    for keep in text_keep:
        table = whole.clone()
        table[:, q:] &= keep
        tables.append(table.fill_diagonal_(True))
    return torch.stack(tables)
