"""Misconception: Random is random.

Tell: You draw from torch's own generator and leave `seed` aside. Then nobody can repeat what you found.
Draw with a generator that is seeded with it.

Caught by: the_seed_decides_what_is_drawn
"""

import torch


@torch.no_grad()
def influence_matrix(run, inputs, tries=3, seed=0):
    if not inputs or tries < 1:
        raise ValueError(f"{len(inputs)} inputs and {tries} tries; give at least one of each.")
    before = [one.clone() for one in run([one.clone() for one in inputs])]
    again = run([one.clone() for one in inputs])
    if not all(torch.equal(old, new) for old, new in zip(before, again, strict=True)):
        raise ValueError("two runs with the same inputs differ; call eval() first.")
    moved = torch.zeros(len(before), len(inputs), dtype=torch.bool)
    for n, one in enumerate(inputs):
        for _ in range(tries):
            changed = [other.clone() for other in inputs]
            changed[n] = torch.randn(one.shape)
            after = run(changed)
            moved[:, n] |= torch.tensor(
                [not torch.equal(old, new) for old, new in zip(before, after, strict=True)]
            )
    return moved
