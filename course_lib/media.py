"""Who may look at which picture: the latest one before each token, and no other.

In a row of text with `<image>` tags, a token's cross-attention reads one picture: that of the tag itself, if
the token is one, else of the latest tag before it. Text before the first tag reads none. What a token knows
of earlier pictures comes through the language model's own self-attention, from tokens that have read them.

    ids     the  <image>  a  ring  <image>  and  another
    index    0      1     1    1      2      2      2

Axes in this file:
    b  rows of the batch      t  text tokens, tags among them      n  pictures of a row, in the order of tags
    v  visual tokens of one picture      s  visual tokens of a row: n pictures of v, one after another

Source: Alayrac et al. 2022, Flamingo, arXiv:2204.14198, sections 2.3 and A.1.3; the rule about the end of a
document is that of transformers' Idefics processor (5.23).
"""

import torch
from einops import rearrange
from jaxtyping import Bool, Int
from torch import Tensor

from course_lib.errors import ShapeError


def media_index(ids: Int[Tensor, "b t"], image_id: int, end_id: int | None = None) -> Int[Tensor, "b t"]:
    """Which picture each token reads: 1 for that of the row's first tag, and so on; 0 for none.

    Args:
        ids: token ids, tags among them.
        image_id: the tag's id.
        end_id: of the sign that ends a document, if rows hold several. It still reads its document's picture;
            what follows reads none, up to the next tag.

    Shapes:
        ids      int[b t]
        returns  int[b t]
    """
    is_tag = ids == image_id
    index = is_tag.long().cumsum(dim=1)
    if end_id is None:
        return index
    place = torch.arange(1, ids.shape[1] + 1, device=ids.device)
    latest_tag = torch.where(is_tag, place, 0).cummax(dim=1).values
    is_end = (ids == end_id).roll(1, dims=1)  # seen from the token after it
    is_end[:, :1] = False
    latest_end = torch.where(is_end, place, 0).cummax(dim=1).values
    return torch.where(latest_tag >= latest_end, index, 0)


def media_mask(index: Int[Tensor, "b t"], visual_mask: Bool[Tensor, "b n v"]) -> Bool[Tensor, "b t s"]:
    """Which visual tokens each text token may read: those of its own picture that are real.

    Args:
        index: from `media_index`; 0 for none.
        visual_mask: True where a visual token is real; a picture that only fills the batch up has none.

    Shapes:
        index        int[b t]
        visual_mask  bool[b n v]   True = keep
        returns      bool[b t s]   True = keep, with s == n v

    Raises:
        ShapeError: an index beyond the pictures given, or another number of rows.
    """
    if len(index) != len(visual_mask):
        raise ShapeError(f"index has {len(index)} rows and visual_mask {len(visual_mask)}; give as many.")
    pictures = visual_mask.shape[1]
    if index.numel() and not 0 <= int(index.min()) <= int(index.max()) <= pictures:
        raise ShapeError(
            f"index runs from {int(index.min())} to {int(index.max())}, and there are {pictures} pictures a "
            f"row; 0 says none and {pictures} the last: give a picture for every tag."
        )
    number = torch.arange(1, pictures + 1, device=index.device)
    own = rearrange(index, "b t -> b t 1") == number  # b t n
    kept = rearrange(own, "b t n -> b t n 1") & rearrange(visual_mask, "b n v -> b 1 n v")
    return rearrange(kept, "b t n v -> b t (n v)")


def influence(index: Int[Tensor, "b t"], n_images: int) -> dict[str, Bool[Tensor, "b t n"]]:
    """Which picture can change which token: at one gated block, and at the end of the language model.

    Args:
        index: from `media_index`.
        n_images: pictures of a row.

    Returns:
        "reads": True where the token's cross-attention reads the picture.
        "reaches": True where the picture can change what the language model makes of the token, be it that an
        earlier token read it and self-attention, which is causal, carried it on.

    Raises:
        ShapeError: an index beyond the pictures.
    """
    reads = media_mask(index, torch.ones(len(index), n_images, 1, dtype=torch.bool, device=index.device))
    reaches = reads.long().cummax(dim=1).values.bool()
    return {"reads": reads, "reaches": reaches}
