"""Right: all replacements are drawn before any run, and the tries are a dimension that is reduced last."""

import torch
from einops import reduce


def influence_matrix(run, inputs, tries=3, seed=0):
    if not inputs or tries <= 0:
        raise ValueError(f"{len(inputs)} inputs, {tries} tries: at least one of each is needed.")
    generator = torch.Generator().manual_seed(seed)
    drawn = [torch.randn(tries, *one.shape, generator=generator) for one in inputs]

    @torch.inference_mode()
    def flat(given):
        return [out.clone().flatten() for out in run([one.clone() for one in given])]

    ours = flat(inputs)
    if any(not torch.equal(a, b) for a, b in zip(ours, flat(inputs), strict=True)):
        raise ValueError("the same inputs gave two answers: is dropout awake?")
    found = []
    for n, candidates in enumerate(drawn):
        for candidate in candidates:
            given = list(inputs)
            given[n] = candidate
            found.append(torch.stack([(a != b).any() for a, b in zip(flat(given), ours, strict=True)]))
    return reduce(torch.stack(found), "(n tries) o -> o n", lambda x, dim: x.any(dim[0]), tries=tries)
