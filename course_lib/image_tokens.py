"""The image-token merge: where a text says `<image>`, the language model reads a picture's visual tokens.

Text comes in as ids, with one placeholder a picture. Out comes what a decoder needs to run: embeddings in
one rectangle, which positions are real, where each stands, and what each should predict. This is the only
place at which a bridge that projects touches the language model, and it is where most of its bugs live.

Axes in this file:
    b  rows of the batch          t  ids of one row, placeholders included (varies)
    n  pictures in the batch      v  visual tokens of one picture
    d  width of an embedding      s  positions of a merged row, padding included

Source: `prepare_inputs_labels_for_multimodal` of LLaVA, arXiv:2304.08485.
Differs from it: a row without a picture needs no dummy picture, nothing is cut off, and a wrong number of
pictures is an error. transformers expands placeholders in its processor instead; what comes out is the same.
"""

from collections.abc import Sequence

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor

IGNORED = -100  # the label that torch's cross-entropy leaves out


def merge_image_tokens(
    input_ids: Sequence[Int[Tensor, "_t"]],
    labels: Sequence[Int[Tensor, "_t"]],
    features: Float[Tensor, "n v d_features"],
    embedding: Float[Tensor, "vocab d"],
    image_id: int,
) -> dict[str, Tensor]:
    """Replace every placeholder by its picture's visual tokens, and pad the rows to one length.

    Pictures belong to placeholders in the order in which these appear, row after row. A row may hold any
    number of pictures, none included.

    Args:
        input_ids: one row of ids each, without padding.
        labels: what each id counts for in the loss, aligned with `input_ids` and not shifted; -100 = nothing.
        features: visual tokens, n v d_features; a bridge has made them as wide as an embedding.
        embedding: one row for each word of the vocabulary.
        image_id: the placeholder. It may lie outside the vocabulary, and is never looked up in it.

    Shapes:
        embeds     float[b s d]   zeros at padding
        keep       bool[b s]      True = keep: a word or a visual token; False = padding, on the right
        positions  int[b s]       0, 1, 2, ... over what is kept; 0 at padding
        labels     int[b s]       -100 at visual tokens and at padding

    Raises:
        ValueError: placeholders and pictures differ in number, a row and its labels in length, or features
            and embedding in width.
    """
    _refuse_what_does_not_fit(input_ids, labels, features, embedding, image_id)
    n_visual = features.shape[1]
    is_picture = [ids == image_id for ids in input_ids]
    # A placeholder becomes n_visual positions, a word one.
    spread = [here.repeat_interleave(torch.where(here, n_visual, 1)) for here in is_picture]
    shape = (len(spread), max(len(row) for row in spread))

    keep = torch.zeros(shape, dtype=torch.bool, device=embedding.device)
    visual = torch.zeros_like(keep)
    for row, where in enumerate(spread):
        keep[row, : len(where)] = True
        visual[row, : len(where)] = where
    text = keep & ~visual
    words = torch.cat([ids[~here] for ids, here in zip(input_ids, is_picture, strict=True)])
    targets = torch.cat([row[~here] for row, here in zip(labels, is_picture, strict=True)])

    # Boolean masks are read row by row, which is the order in which words and pictures appear.
    embeds = embedding.new_zeros(*shape, embedding.shape[1])
    embeds[text] = embedding[words.long()]
    embeds[visual] = rearrange(features, "n v d -> (n v) d").to(embeds.dtype)
    merged_labels = targets.new_full(shape, IGNORED, device=embedding.device)
    merged_labels[text] = targets
    positions = (torch.arange(shape[1], device=embedding.device) * keep).long()
    return {"embeds": embeds, "keep": keep, "positions": positions, "labels": merged_labels}


def _refuse_what_does_not_fit(
    input_ids: Sequence[Tensor], labels: Sequence[Tensor], features: Tensor, embedding: Tensor, image_id: int
) -> None:
    if not input_ids or len(input_ids) != len(labels):
        raise ValueError(
            f"{len(input_ids)} rows of ids and {len(labels)} of labels: give one of each, at least one."
        )
    for row, (ids, targets) in enumerate(zip(input_ids, labels, strict=True)):
        if len(ids) != len(targets):
            raise ValueError(
                f"row {row} has {len(ids)} ids and {len(targets)} labels; give one label for each id."
            )
    if features.shape[2] != embedding.shape[1]:
        raise ValueError(
            f"visual tokens are {features.shape[2]} wide and word embeddings {embedding.shape[1]}; "
            "project the visual tokens first."
        )
    n_placeholders = sum(int((ids == image_id).sum()) for ids in input_ids)
    if n_placeholders != len(features):
        raise ValueError(
            f"the text has {n_placeholders} placeholders and there are {len(features)} pictures; "
            "give one picture for each placeholder."
        )
