"""Misconception: One number stands for the whole input.

Tell: You replace the first number of an input and leave the others. An output may hear only one of those.

Caught by: a_path_that_is_mostly_shut_is_found, one_input_is_replaced_as_a_whole
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
    for n in range(len(inputs)):
        for _ in range(tries):
            changed = [other.clone() for other in inputs]
            changed[n].view(-1)[0] = torch.randn((), generator=draw)
            after = run(changed)
            moved[:, n] |= torch.tensor(
                [not torch.equal(old, new) for old, new in zip(before, after, strict=True)]
            )
    return moved
