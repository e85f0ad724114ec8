"""Right: unfold, twice, and a permutation before the reshape, as transformers has it."""


def raw_patches(pictures, patch):
    b, c, height, width = pictures.shape
    if patch <= 0:
        raise ValueError(f"patch is {patch}; give 1 or more")
    if (height % patch, width % patch) != (0, 0):
        h, w = (max(patch, int(side / patch + 0.5) * patch) for side in (height, width))
        raise ValueError(f"picture {height} x {width}, patch {patch}: the nearest that fits is {h} x {w}")
    cut = pictures.unfold(2, patch, patch).unfold(3, patch, patch)  # b c row col y x
    return cut.permute(0, 2, 3, 4, 5, 1).reshape(b, -1, patch * patch * c)
