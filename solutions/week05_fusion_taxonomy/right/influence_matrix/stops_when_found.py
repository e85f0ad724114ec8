"""Right: plain lists, one output at a time, and no further try for what has moved already."""

import torch


def influence_matrix(run, inputs, tries=3, seed=0):
    if len(inputs) == 0:
        raise ValueError("0 inputs; give at least one.")
    if tries < 1:
        raise ValueError(f"tries={tries}; give 1 or more.")

    def answers(given):
        with torch.no_grad():
            return [out.detach().clone() for out in run([x.detach().clone() for x in given])]

    first, second = answers(inputs), answers(inputs)
    for a, b in zip(first, second, strict=True):
        if (a != b).any():
            raise ValueError("the model is not deterministic; call eval().")
    generator = torch.Generator()
    generator.manual_seed(seed)
    table = [[False] * len(inputs) for _ in first]
    for n in range(len(inputs)):
        for _ in range(tries):
            if all(row[n] for row in table):
                break
            noise = torch.empty_like(inputs[n]).normal_(generator=generator)
            for o, out in enumerate(answers([*inputs[:n], noise, *inputs[n + 1 :]])):
                if bool((out != first[o]).any()):
                    table[o][n] = True
    return torch.tensor(table)
