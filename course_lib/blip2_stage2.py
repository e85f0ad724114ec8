"""BLIP-2's second stage: what the queries have read becomes a prefix of a frozen language model.

The text side of stage 1 is dropped, for no text enters the Q-Former any more. What trains is the whole rest:
the queries, every layer, and one matrix to the width of a word. Encoder and language model are frozen.

Axes in this file:
    b  pictures      v  visual tokens      q  queries      d  width of a query

Source: Li et al. 2023, BLIP-2, arXiv:2301.12597, section 3.3; LAVIS, blip2_opt.py, which drops the text side.
"""

import copy
from typing import TypeVar

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from jaxtyping import Bool, Float
from torch import Tensor, nn

from course_lib.errors import ShapeError

QFormerLike = TypeVar("QFormerLike", bound=nn.Module)


class QueryPrefix(nn.Module):
    """The queries read a picture, and one matrix makes words of them.

    Args:
        query_tokens: of stage 1, float[1 q d]; copied.
        qformer: of stage 1, or what has its form; copied, without its text side.
        d_text: width of a word embedding of the language model.

    Shapes:
        visual       float[b v d_visual]
        visual_mask  bool[b v]   True = keep; None means all are kept
        returns      float[b q d_text]

    Raises:
        ShapeError: queries of another shape.
    """

    def __init__(self, query_tokens: Float[Tensor, "..."], qformer: nn.Module, d_text: int) -> None:
        super().__init__()
        if query_tokens.ndim != 3 or len(query_tokens) != 1:
            raise ShapeError(
                f"query_tokens are {tuple(query_tokens.shape)}; (1, queries, width) are asked for."
            )
        self.query_tokens = nn.Parameter(query_tokens.detach().clone())
        self.qformer = without_text(qformer)
        self.language_projection = nn.Linear(query_tokens.shape[2], d_text)

    def forward(
        self, visual: Float[Tensor, "b v d_visual"], visual_mask: Bool[Tensor, "b v"] | None = None
    ) -> Float[Tensor, "b q d_text"]:
        queries = repeat(self.query_tokens, "1 q d -> b q d", b=len(visual))
        read = self.qformer(queries, queries.shape[1], None, visual, visual_mask)
        out: Tensor = self.language_projection(read)
        return out


def without_text(qformer: QFormerLike) -> QFormerLike:
    """A copy without the feed-forwards for text: `intermediate` and `output` of each of `encoder.layer`."""
    found = copy.deepcopy(qformer)
    if found.text:
        for layer in found.get_submodule("encoder.layer").children():
            del layer.intermediate, layer.output
    found.text = False  # type: ignore[assignment]
    return found


def draw_queries(n_queries: int, d_model: int, generator: torch.Generator) -> Float[Tensor, "1 q d"]:
    """Queries to start from: normal, standard deviation 0.02. Equal ones would stay equal for ever."""
    return 0.02 * torch.randn(1, n_queries, d_model, generator=generator)


def query_similarity(read: Float[Tensor, "b q d"]) -> Float[Tensor, "q q"]:
    """Cosine between what two queries have read in the same picture, the mean over pictures.

    Raises:
        ShapeError: no picture.
    """
    if not len(read):
        raise ShapeError("there are 0 pictures; give at least one.")
    unit = F.normalize(read, dim=-1)
    return (unit @ rearrange(unit, "b q d -> b d q")).mean(dim=0)
