"""Misconception: Without tries there is no influence.

Tell: No try, or no input, gives an empty or all-False table without a word. That reads as a finding; say
that nothing was tried.

Caught by: nothing_to_try_is_refused
"""

import torch


@torch.no_grad()
def influence_matrix(run, inputs, tries=3, seed=0):
    draw = torch.Generator().manual_seed(seed)
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
