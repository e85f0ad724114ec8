"""Projectors: bridges that translate every visual token by itself into the language model's width.

Three of them, from plain to thrifty. The linear one is LLaVA's, the two-layer one LLaVA-1.5's. The pixel
shuffle lays neighbouring tokens side by side before it projects, so that the language model reads fewer ones.

Axes in this file:
    b  pictures in the batch      v  visual tokens of one picture, row after row of the grid
    d  width of a visual token    k  channels of a merged token: factor * factor * d

Sources: LLaVA, arXiv:2304.08485 (linear); LLaVA-1.5, arXiv:2310.03744 (two layers, GELU); the shuffle as in
Idefics3, arXiv:2408.12637, and SmolVLM, arXiv:2504.05299; earlier in InternVL-1.5, arXiv:2404.16821.
Weights: MLPProjector has the keys of `multi_modal_projector` in transformers' LlavaForConditionalGeneration,
PixelShuffleProjector those of `modality_projection` in its Idefics3Model.
"""

import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn


class LinearProjector(nn.Module):
    """One linear map with a bias, the same for every visual token.

    Args:
        d_visual: width of a visual token, as the encoder gives it.
        d_text: width of a word embedding of the language model.

    Shapes:
        visual   float[b v d_visual]
        returns  float[b v d_text]
    """

    def __init__(self, d_visual: int, d_text: int) -> None:
        super().__init__()
        self.linear = nn.Linear(d_visual, d_text)

    def forward(self, visual: Float[Tensor, "b v d_visual"]) -> Float[Tensor, "b v d_text"]:
        projected: Tensor = self.linear(visual)
        return projected


class MLPProjector(nn.Module):
    """Two linear maps with a GELU between them; the hidden layer is as wide as the text.

    The GELU is the exact one. Its tanh approximation is off by up to 4.7e-4, far more than a comparison with
    the model from which the weights come would forgive.

    Args:
        d_visual: width of a visual token, as the encoder gives it.
        d_text: width of a word embedding of the language model, and of the hidden layer.

    Shapes:
        visual   float[b v d_visual]
        returns  float[b v d_text]
    """

    def __init__(self, d_visual: int, d_text: int) -> None:
        super().__init__()
        self.linear_1 = nn.Linear(d_visual, d_text)
        self.linear_2 = nn.Linear(d_text, d_text)

    def forward(self, visual: Float[Tensor, "b v d_visual"]) -> Float[Tensor, "b v d_text"]:
        projected: Tensor = self.linear_2(F.gelu(self.linear_1(visual), approximate="none"))
        return projected


def pixel_shuffle(
    visual: Float[Tensor, "b v d"], grid: tuple[int, int], factor: int
) -> Float[Tensor, "b merged k"]:
    """Lay every block of factor x factor neighbouring tokens side by side, as one wider token.

    Nothing is lost or mixed: the channels of the block's tokens follow each other, row by row inside the
    block, and the blocks follow each other row by row over the picture.

    Args:
        visual: tokens of pictures whose patches were read row by row.
        grid: rows and columns of patches; their product is v.
        factor: side of a block; divides both rows and columns.

    Shapes:
        visual   float[b v d]
        returns  float[b v/(factor*factor) factor*factor*d]

    Raises:
        ValueError: the grid does not hold v tokens, or factor does not divide it.
    """
    rows, columns = grid
    n_tokens = visual.shape[1]
    if rows * columns != n_tokens:
        raise ValueError(
            f"a grid of {rows} rows and {columns} columns holds {rows * columns} tokens, not {n_tokens}; "
            "pass the grid of the picture, without a class token."
        )
    if factor < 1 or rows % factor or columns % factor:
        raise ValueError(
            f"factor {factor} does not divide a grid of {rows} rows and {columns} columns; "
            "choose one that divides both."
        )
    return rearrange(
        visual,
        "b (row i column j) d -> b (row column) (i j d)",
        column=columns // factor,
        i=factor,
        j=factor,
    )


class PixelShuffleProjector(nn.Module):
    """Merge blocks of neighbouring tokens, then project each merged token with one linear map without bias.

    Args:
        d_visual: width of a visual token before merging.
        d_text: width of a word embedding of the language model.
        grid: rows and columns of patches.
        factor: side of a block; divides both.

    Shapes:
        visual   float[b v d_visual]
        returns  float[b v/(factor*factor) d_text]

    Raises:
        ValueError: the grid does not hold v tokens, or factor does not divide it.
    """

    def __init__(self, d_visual: int, d_text: int, grid: tuple[int, int], factor: int = 2) -> None:
        super().__init__()
        self.grid = grid
        self.factor = factor
        self.proj = nn.Linear(factor * factor * d_visual, d_text, bias=False)

    def forward(self, visual: Float[Tensor, "b v d_visual"]) -> Float[Tensor, "b merged d_text"]:
        projected: Tensor = self.proj(pixel_shuffle(visual, self.grid, self.factor))
        return projected
