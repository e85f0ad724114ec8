"""Right: one working copy, whose input is filled with numbers and filled again with its own."""

import copy

import torch


def influence_matrix(run, inputs, tries=3, seed=0):
    if len(inputs) * max(tries, 0) == 0:
        raise ValueError(f"nothing to try: {len(inputs)} inputs and {tries} tries.")
    torch.manual_seed(seed)
    work = [one.clone() for one in inputs]
    with torch.no_grad():
        state = torch.get_rng_state()
        ours = copy.deepcopy(list(run(copy.deepcopy(work))))
        for repeated in range(2):
            if not all(map(torch.equal, ours, run(copy.deepcopy(work)))):
                raise ValueError(f"run number {repeated + 2} with the same inputs gives something else.")
        torch.set_rng_state(state)
        columns = []
        for mine, one in zip(work, inputs, strict=True):
            column = torch.zeros(len(ours), dtype=torch.bool)
            for _ in range(tries):
                mine.uniform_(-3.0, 3.0)
                theirs = run(copy.deepcopy(work))
                column = column | torch.tensor(
                    [(a - b).abs().max().item() > 0 for a, b in zip(ours, theirs, strict=True)]
                )
            mine.copy_(one)
            columns.append(column)
    return torch.stack(columns, dim=1)
