"""Questions as rows of ids: what a language model trains on, and how its answers are marked.

A block is one question with its answer: `what colour is the ring ? red <end>`, filled up with `<pad>`. All
blocks are equally wide, so that a scene's questions stand beside each other behind one prefix (see
`course_lib.language.pack`).

Axes in this file:
    b  scenes    n  questions of one scene    k  words of one block    w  words of the vocabulary
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from course_lib.microworld.questions import Question
from course_lib.microworld.vocabulary import Vocabulary

BLOCK_WORDS = 10  # the longest of `KINDS` with its answer and <end>; a block with a relation is wider


@dataclass(frozen=True)
class Blocks:
    """Packed questions.

    Shapes:
        ids        int[b n k]    question, answer, `<end>`, padding
        keep       bool[b n k]   True where a word is real
        is_answer  bool[b n k]   True where a word belongs to the answer or is its `<end>`
    """

    ids: Int[Tensor, "b n k"]
    keep: Bool[Tensor, "b n k"]
    is_answer: Bool[Tensor, "b n k"]

    def rows(self, index: Int[Tensor, " m"]) -> "Blocks":
        """The questions of some of the scenes."""
        return Blocks(self.ids[index], self.keep[index], self.is_answer[index])


def question_blocks(questions: Sequence[Sequence[Question]], vocabulary: Vocabulary) -> Blocks:
    """Blocks of the questions of many scenes; every scene needs the same number of questions."""
    texts = [f"{question.text} {question.answer} <end>" for row in questions for question in row]
    width = max(BLOCK_WORDS, *(len(text.split()) for text in texts))
    ids = torch.tensor(vocabulary.rows(texts, width))
    asked = torch.tensor([len(question.text.split()) for row in questions for question in row])
    keep = ids != vocabulary.pad_id
    is_answer = keep & (torch.arange(width) >= asked[:, None])
    shape = (len(questions), -1, width)
    return Blocks(ids.view(shape), keep.view(shape), is_answer.view(shape))


def exact_match(logits: Float[Tensor, "b n k_less_1 w"], blocks: Blocks) -> Bool[Tensor, "b n"]:
    """True where every word of the answer, and its `<end>`, is the likeliest word given those before it.

    That is the case exactly if writing word by word, always the likeliest, gives the answer and stops.

    Shapes:
        logits   float[b n k-1 w]   at each word but the last: of the word that follows
        returns  bool[b n]
    """
    right = logits.argmax(-1) == blocks.ids[:, :, 1:]
    return (right | ~blocks.is_answer[:, :, 1:]).all(-1)
