"""Right: torch's pixel_unshuffle cuts, in the order c y x; what follows puts the channels last."""

from torch.nn.functional import pixel_unshuffle


def raw_patches(pictures, patch):
    c, height, width = pictures.shape[1:]
    sizes = f"patches of {patch} in a picture of {height} by {width}"
    if patch < 1:
        raise ValueError(f"{sizes}: no side")
    if height % patch or width % patch:
        fit = " by ".join(str(round(n / patch) * patch) for n in (height, width))
        raise ValueError(f"{sizes}: some pixels would be left over, use {fit}")
    deep = pixel_unshuffle(pictures, patch).flatten(2)  # b (c y x) v
    return deep.transpose(1, 2).unflatten(2, (c, patch * patch)).transpose(2, 3).flatten(2)
