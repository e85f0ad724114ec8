"""Early fusion: raw patches of a picture go into the language model, and no encoder stands before it.

A patch is cut out, laid flat and mapped to the width of a word by one linear map. After each row of patches
stands a newline, so that the model can tell how wide the picture is: pictures of any size that patches tile
can be read. All seeing is left to the language model.

Axes in this file:
    b  pictures    c  channels    y x  rows and columns of pixels
    row col  rows and columns of patches    v  patches, row by row    k  numbers of one patch
    d  width of a word

The order of the numbers in a patch, and the name of the map, are those of transformers' Fuyu (5.23); tests
hold patches and stream within 1e-5.

Source: Bavishi et al. 2023, Fuyu-8B, https://www.adept.ai/blog/fuyu-8b.
Differs from it: the newline is a parameter of this module, where Fuyu has it as a word of its vocabulary.
"""

import torch
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor, nn

from course_lib.errors import ShapeError


def raw_patches(pictures: Float[Tensor, "b c y x"], patch: int) -> Float[Tensor, "b v k"]:
    """Cut pictures into square patches and lay each flat: row by row, pixel by pixel, channel by channel.

    Args:
        pictures: any height and width that patches tile.
        patch: side of a patch in pixels.

    Shapes:
        pictures  float[b c y x]
        returns   float[b v k]   v = y/patch * x/patch, row by row; k = patch * patch * c

    Raises:
        ShapeError: patches do not tile the pictures; the message names the nearest size that works.
    """
    height, width = pictures.shape[2:]
    if patch < 1 or height % patch or width % patch or 0 in (height, width):
        raise ShapeError(_no_tiles(height, width, patch))
    return rearrange(pictures, "b c (row y) (col x) -> b (row col) (y x c)", y=patch, x=patch)


def _no_tiles(height: int, width: int, patch: int) -> str:
    if patch < 1:
        return f"patch={patch} is no side of a patch; give 1 or more."
    near = [max(1, round(side / patch)) * patch for side in (height, width)]
    return (
        f"patches of {patch} pixels do not tile a picture of {height} x {width}; "
        f"the nearest that they tile is {near[0]} x {near[1]}."
    )


class EarlyFusion(nn.Module):
    """Raw patches as tokens of the language model's stream, a newline after each row of them.

    Args:
        n_numbers: numbers of one patch, k.
        d_text: width of a word.

    Shapes:
        patches  float[b v k]   row by row
        columns  patches in one row; divides v
        returns  float[b v+v/columns d_text]

    Raises:
        ShapeError: rows of so many columns do not hold v patches.
    """

    def __init__(self, n_numbers: int, d_text: int) -> None:
        super().__init__()
        self.vision_embed_tokens = nn.Linear(n_numbers, d_text)
        self.newline = nn.Parameter(0.02 * torch.randn(d_text))

    def forward(self, patches: Float[Tensor, "b v k"], columns: int) -> Float[Tensor, "b p d_text"]:
        n_patches = patches.shape[1]
        if columns < 1 or n_patches % columns:
            raise ShapeError(
                f"{n_patches} patches do not make rows of {columns}; give the number of patches in a row."
            )
        tokens = self.vision_embed_tokens(patches)
        rows = rearrange(tokens, "b (row col) d -> b row col d", col=columns)
        ends = repeat(self.newline, "d -> b row 1 d", b=rows.shape[0], row=rows.shape[1])
        return rearrange(torch.cat([rows, ends], dim=2), "b row col d -> b (row col) d")
