"""Misconception: It counts if every try moves it.

Tell: You ask that an output moves in every try. That one replacement stops at a shut ReLU proves nothing;
that one arrives proves everything.

Caught by: a_path_that_is_mostly_shut_is_found
"""

import torch


@torch.no_grad()
def influence_matrix(run, inputs, tries=3, seed=0):
    if not inputs or tries < 1:
        raise ValueError(f"{len(inputs)} inputs and {tries} tries; give at least one of each.")
    draw = torch.Generator().manual_seed(seed)
    before = [one.clone() for one in run([one.clone() for one in inputs])]
    again = run([one.clone() for one in inputs])
    if not all(torch.equal(old, new) for old, new in zip(before, again, strict=True)):
        raise ValueError("two runs with the same inputs differ; call eval() first.")
    moved = torch.ones(len(before), len(inputs), dtype=torch.bool)
    for n, one in enumerate(inputs):
        for _ in range(tries):
            changed = [other.clone() for other in inputs]
            changed[n] = torch.randn(one.shape, generator=draw)
            after = run(changed)
            moved[:, n] &= torch.tensor(
                [not torch.equal(old, new) for old, new in zip(before, after, strict=True)]
            )
    return moved
