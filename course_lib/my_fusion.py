"""A fusion under a budget: what the parts of a picture have in common with their cells, in six words.

A picture of 6 x 6 patches is cut into 3 x 2 cells of 2 x 3 patches. The patches of a cell stand side by side,
and one matrix makes one word of them: 768 numbers in, 128 out. Nothing is averaged, so that what is where in
a cell is still known, and the matrix runs six times instead of 36.

Axes in this file:
    b  pictures    y x  row and column of a cell    i j  row and column of a patch in its cell
    d  width of a patch token    v  patches    n  tokens handed on
"""

from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

ROWS, COLUMNS = 3, 2  # of cells in one picture


class MyFusion(nn.Module):
    """Six tokens of a picture of 36 patches, within 120,000 parameters and 1,500,000 FLOPs.

    Args:
        d_visual: width of a patch token.
        d_text: width of a word.

    Shapes:
        visual   float[b 36 d_visual]   row by row; positions are added already
        returns  float[b 6 d_text]
    """

    def __init__(self, d_visual: int = 128, d_text: int = 128) -> None:
        super().__init__()
        self.to_word = nn.Linear(36 // (ROWS * COLUMNS) * d_visual, d_text)

    def forward(self, visual: Float[Tensor, "b 36 d_visual"]) -> Float[Tensor, "b 6 d_text"]:
        cells = rearrange(
            visual, "b (y i x j) d -> b (y x) (i j d)", y=ROWS, x=COLUMNS, i=6 // ROWS, j=6 // COLUMNS
        )
        words: Tensor = self.to_word(cells)
        return words
