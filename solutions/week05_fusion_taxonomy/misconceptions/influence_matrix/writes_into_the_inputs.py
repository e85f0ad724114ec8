"""Misconception: The inputs are mine to write into.

Tell: You write the random numbers into the tensors you were given. Your table is right, and whoever gave
you the inputs has lost them.

Caught by: inputs_stay_as_they_were, a_model_may_write_into_what_it_gets
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
    moved = torch.zeros(len(before), len(inputs), dtype=torch.bool)
    for n, one in enumerate(inputs):
        for _ in range(tries):
            changed = list(inputs)
            kept, changed[n] = one.clone(), one.normal_(generator=draw)
            after = run([other.clone() for other in changed])
            moved[:, n] |= torch.tensor(
                [not torch.equal(old, new) for old, new in zip(before, after, strict=True)]
            )
            if _ < tries - 1 or n < len(inputs) - 1:
                one.copy_(kept)
    return moved
