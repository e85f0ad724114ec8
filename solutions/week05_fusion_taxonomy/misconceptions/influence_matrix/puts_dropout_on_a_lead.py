"""Misconception: Seeding makes any model deterministic.

Tell: You seed torch before each run, so that dropout drops the same numbers every time and two runs agree.
That hides a model which is not in eval mode, and the table is that of one thinned network.

Caught by: dropout_awake_is_refused, what_is_not_deterministic_is_refused
"""

import torch


@torch.no_grad()
def influence_matrix(run, inputs, tries=3, seed=0):
    if not inputs or tries < 1:
        raise ValueError(f"{len(inputs)} inputs and {tries} tries; give at least one of each.")
    draw = torch.Generator().manual_seed(seed)
    inner = run

    def run(given):
        torch.manual_seed(seed)
        return inner(given)

    before = [one.clone() for one in run([one.clone() for one in inputs])]
    again = run([one.clone() for one in inputs])
    if not all(torch.equal(old, new) for old, new in zip(before, again, strict=True)):
        raise ValueError("two runs with the same inputs differ; call eval() first.")
    moved = torch.zeros(len(before), len(inputs), dtype=torch.bool)
    for n, one in enumerate(inputs):
        for _ in range(tries):
            changed = [other.clone() for other in inputs]
            changed[n] = torch.randn(one.shape, generator=draw)
            after = run(changed)
            moved[:, n] |= torch.tensor(
                [not torch.equal(old, new) for old, new in zip(before, after, strict=True)]
            )
    return moved
