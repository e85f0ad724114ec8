"""Misconception: Influence is a gradient that is not zero.

Tell: You ask for the slope at one place. A ReLU that is shut there, a rank or a rounding has none, and a
change that is large enough gets through all the same.

Caught by: a_path_that_is_mostly_shut_is_found, shift_and_stretch_are_not_enough,
behind_a_zero_nothing_else_is_heard, the_seed_decides_what_is_drawn, a_model_may_reuse_its_outputs
"""

import torch


@torch.enable_grad()
def influence_matrix(run, inputs, tries=3, seed=0):
    if not inputs or tries < 1:
        raise ValueError(f"{len(inputs)} inputs and {tries} tries; give at least one of each.")
    before = [one.clone() for one in run([one.clone() for one in inputs])]
    again = run([one.clone() for one in inputs])
    if not all(torch.equal(old, new) for old, new in zip(before, again, strict=True)):
        raise ValueError("two runs with the same inputs differ; call eval() first.")
    leaves = [one.clone().requires_grad_() for one in inputs]
    after = run([one.clone() for one in leaves])
    moved = torch.zeros(len(after), len(inputs), dtype=torch.bool)
    for o, out in enumerate(after):
        if out.requires_grad:
            found = torch.autograd.grad(out.square().sum(), leaves, retain_graph=True, allow_unused=True)
            moved[o] = torch.tensor([slope is not None and bool(slope.any()) for slope in found])
    return moved
