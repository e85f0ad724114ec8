"""Right: one einsum that also sums over the pictures, after a division by the length."""

from einops import einsum


def query_similarity(read):
    pictures = read.shape[0]
    if not pictures:
        raise ValueError("cannot compare queries over 0 pictures; give one or more.")
    unit = read / read.square().sum(dim=-1, keepdim=True).sqrt()
    return einsum(unit, unit, "b i d, b j d -> i j") / pictures
