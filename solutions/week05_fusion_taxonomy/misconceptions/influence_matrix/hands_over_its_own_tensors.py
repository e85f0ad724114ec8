"""Misconception: A model leaves what it reads alone.

Tell: You hand the model your own tensors. One that works in place changes them, and the second run reads
something else than the first. Hand it copies.

Caught by: a_model_may_write_into_what_it_gets
"""

import torch


@torch.no_grad()
def influence_matrix(run, inputs, tries=3, seed=0):
    if not inputs or tries < 1:
        raise ValueError(f"{len(inputs)} inputs and {tries} tries; give at least one of each.")
    draw = torch.Generator().manual_seed(seed)
    before = [one.clone() for one in run(list(inputs))]
    again = run(list(inputs))
    if not all(torch.equal(old, new) for old, new in zip(before, again, strict=True)):
        raise ValueError("two runs with the same inputs differ; call eval() first.")
    moved = torch.zeros(len(before), len(inputs), dtype=torch.bool)
    for n, one in enumerate(inputs):
        for _ in range(tries):
            changed = list(inputs)
            changed[n] = torch.randn(one.shape, generator=draw)
            after = run(changed)
            moved[:, n] |= torch.tensor(
                [not torch.equal(old, new) for old, new in zip(before, after, strict=True)]
            )
    return moved
