"""Misconception: A row is an input, and a column an output.

Tell: Your table has a row for each input. A row is an output, as in a table of who looks: whoever is moved
stands at the left, whoever moves it stands on top.

Caught by: a_triangle_comes_back_as_a_triangle, every_wire_is_found_and_no_other,
the_faintest_influence_counts, one_number_that_moves_is_enough, a_path_that_is_mostly_shut_is_found,
shift_and_stretch_are_not_enough, behind_a_zero_nothing_else_is_heard, a_model_may_write_into_what_it_gets,
a_model_may_reuse_its_outputs, what_is_not_deterministic_is_refused
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
            changed = [other.clone() for other in inputs]
            changed[n] = torch.randn(one.shape, generator=draw)
            after = run(changed)
            moved[:, n] |= torch.tensor(
                [not torch.equal(old, new) for old, new in zip(before, after, strict=True)]
            )
    return moved.T.contiguous()
