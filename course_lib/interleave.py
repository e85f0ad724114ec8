"""Pictures and words in one row: tags, signs for the end of a chunk, and which tokens are learned.

A document is a list of chunks. A chunk is a picture or none, and the words that go with it:

    [(False, "my pets :"), (True, "a dog"), (True, "a cat")]
    my pets : <end> <image> a dog <end> <image> a cat <end>

Learned is what a picture can help with: the words of a chunk that has one, and the sign that ends it. Not
learned (label -100): padding, the tags, and every chunk without a picture, wherever it stands.

Axes in this file:
    b  documents      t  tokens of the longest      n  pictures of a prompt      v  visual tokens of one
    d  their width

Source: Alayrac et al. 2022, Flamingo, arXiv:2204.14198, sections 2.4 and A.2; the labels are those of
OpenFlamingo (Awadalla et al. 2023, arXiv:2308.01390).
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from course_lib.errors import ShapeError

IGNORED = -100  # torch's cross-entropy leaves such labels out


def interleave(
    documents: Sequence[Sequence[tuple[bool, Int[Tensor, "..."]]]],
    image_id: int,
    end_of_chunk_id: int,
    pad_id: int,
) -> dict[str, Tensor]:
    """Lay documents out as rows of one length, padded on the right.

    Args:
        documents: each a list of chunks (has a picture, ids of its words).
        image_id: the tag, which opens a chunk with a picture.
        end_of_chunk_id: closes every chunk.
        pad_id: fills rows up.

    Returns:
        "ids" int[b t], "keep" bool[b t] (True where a token is real), "labels" int[b t]: each token's own id
        where it is learned (a language model shifts them itself), -100 where it is not.

    Raises:
        ShapeError: no documents, a document without chunks, or a chunk without words.
    """
    if not documents:
        raise ShapeError("there are 0 documents; give at least one.")
    rows = [_row(number, document, image_id, end_of_chunk_id) for number, document in enumerate(documents)]
    longest = max(len(ids) for ids, _ in rows)
    ids = rows[0][0].new_full((len(rows), longest), pad_id)
    labels = torch.full_like(ids, IGNORED)
    keep = torch.zeros_like(ids, dtype=torch.bool)
    for row, (tokens, learned) in enumerate(rows):
        length = len(tokens)
        ids[row, :length] = tokens
        keep[row, :length] = True
        labels[row, :length] = torch.where(learned, tokens, IGNORED)
    return {"ids": ids, "keep": keep, "labels": labels}


def _row(
    number: int, document: Sequence[tuple[bool, Tensor]], image_id: int, end_of_chunk_id: int
) -> tuple[Tensor, Tensor]:
    if not document:
        raise ShapeError(f"document {number} has 0 chunks; give it at least one.")
    tokens, learned = list[Tensor](), list[Tensor]()
    for place, (has_picture, words) in enumerate(document):
        if words.ndim != 1 or not len(words):
            raise ShapeError(
                f"chunk {place} of document {number} has words of shape {tuple(words.shape)}; give at "
                "least one id, in one row."
            )
        if has_picture:
            tokens.append(words.new_tensor([image_id]))
            learned.append(words.new_zeros(1, dtype=torch.bool))
        tokens += [words, words.new_tensor([end_of_chunk_id])]
        learned.append(words.new_full((len(words) + 1,), has_picture, dtype=torch.bool))
    return torch.cat(tokens), torch.cat(learned)


def few_shot_prompt(
    examples: Sequence[tuple[Float[Tensor, "_ _"], Int[Tensor, "..."], Int[Tensor, "..."]]],
    picture: Float[Tensor, "v d"],
    question: Int[Tensor, "..."],
    image_id: int,
    end_of_chunk_id: int,
) -> dict[str, Tensor]:
    """A prompt of solved examples, then a picture whose question is left open.

    Args:
        examples: each (picture, question ids, answer ids); none is a prompt of zero shots.
        picture, question: what is asked.
        image_id: the tag, which stands before each question.
        end_of_chunk_id: closes every example; nothing closes the open question.

    Returns:
        "ids" int[t] and "visual" float[n v d]: one picture for each tag, in the order of the tags.

    Raises:
        ShapeError: a question without words, an answer without words, or pictures of different shapes.
    """
    asked = [*((p, q, a) for p, q, a in examples), (picture, question, None)]
    tokens: list[Tensor] = []
    for number, (seen, words, answer) in enumerate(asked):
        if seen.shape != picture.shape:
            raise ShapeError(
                f"picture {number} is {tuple(seen.shape)} and the one asked about {tuple(picture.shape)}; "
                "pictures of one prompt need the same visual tokens."
            )
        ids = (words,) if answer is None else (words, answer)
        if any(one.ndim != 1 for one in ids):
            raise ShapeError(
                f"example {number} has ids of shape {', '.join(str(tuple(one.shape)) for one in ids)}; give "
                "question and answer each in one row."
            )
        if not len(words) or (answer is not None and not len(answer)):
            raise ShapeError(
                f"example {number} has {len(words)} ids of question and "
                f"{'no' if answer is None else len(answer)} ids of answer; give at least one of each."
            )
        tokens += [question.new_tensor([image_id]), words]
        if answer is not None:
            tokens += [answer, question.new_tensor([end_of_chunk_id])]
    return {"ids": torch.cat(tokens), "visual": torch.stack([seen for seen, _, _ in asked])}
