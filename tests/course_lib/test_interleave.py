"""Rows of pictures and words: what stands where, what is learned, and what is refused."""

import inspect

import pytest
import torch
from torch import Tensor

from course_lib.errors import ShapeError
from course_lib.interleave import IGNORED, few_shot_prompt, interleave
from course_lib.media import media_index

IMAGE, END, PAD = 90, 91, 92
Document = list[tuple[bool, Tensor]]


def words(*ids: int) -> Tensor:
    return torch.tensor(ids)


DOCUMENTS: list[Document] = [
    [(False, words(1, 2, 3)), (True, words(4, 5)), (True, words(6))],
    [(True, words(7)), (False, words(8, 9))],
    [(False, words(2))],
]


def test_a_row_is_its_chunks_each_with_its_sign_and_a_tag_where_there_is_a_picture() -> None:
    rows = interleave(DOCUMENTS, IMAGE, END, PAD)
    e, n = END, IGNORED
    assert rows["ids"].tolist() == [
        [1, 2, 3, e, IMAGE, 4, 5, e, IMAGE, 6, e],
        [IMAGE, 7, e, 8, 9, e, PAD, PAD, PAD, PAD, PAD],
        [2, e, PAD, PAD, PAD, PAD, PAD, PAD, PAD, PAD, PAD],
    ]
    assert rows["keep"].sum(dim=1).tolist() == [11, 6, 2]
    assert rows["labels"].tolist() == [
        [n, n, n, n, n, 4, 5, e, n, 6, e],
        [n, 7, e, n, n, n, n, n, n, n, n],
        [n] * 11,
    ]
    assert (rows["ids"].dtype, rows["keep"].dtype, rows["labels"].dtype) == (
        torch.int64,
        torch.bool,
        torch.int64,
    )


def drawn(seed: int) -> list[Document]:
    draw = torch.Generator().manual_seed(seed)

    def number(least: int, most: int) -> int:
        return int(torch.randint(least, most, (), generator=draw))

    return [
        [
            (bool(number(0, 2)), torch.randint(0, 80, (number(1, 5),), generator=draw))
            for _ in range(number(1, 6))
        ]
        for _ in range(4)
    ]


@pytest.mark.parametrize("seed", range(20))
def test_what_is_learned_is_in_a_chunk_with_a_picture_and_reads_that_picture(seed: int) -> None:
    """Told by another rule: from the ids alone, by the tags and signs in them."""
    documents = drawn(seed)
    rows = interleave(documents, IMAGE, END, PAD)
    index = media_index(rows["ids"], IMAGE)
    for row, document in enumerate(documents):
        assert int(index[row].max()) == sum(picture for picture, _ in document)
        inside = False
        for token, real, label in zip(
            rows["ids"][row].tolist(), rows["keep"][row].tolist(), rows["labels"][row].tolist(), strict=True
        ):
            inside = (inside or token == IMAGE) and real
            assert label == (token if inside and token != IMAGE else IGNORED)
            inside = inside and token != END
        assert torch.equal(
            rows["ids"][row][~rows["keep"][row]], torch.full_like(rows["ids"][row], PAD)[~rows["keep"][row]]
        )
    learned = rows["labels"] != IGNORED
    assert (index[learned] > 0).all()


def test_a_pad_that_is_also_a_word_is_told_apart_by_keep_and_by_labels() -> None:
    rows = interleave([[(True, words(5, 5))], [(True, words(5))]], IMAGE, END, 5)
    assert rows["ids"].tolist() == [[IMAGE, 5, 5, END], [IMAGE, 5, END, 5]]
    assert rows["keep"].tolist() == [[True] * 4, [True] * 3 + [False]]
    assert rows["labels"].tolist() == [[IGNORED, 5, 5, END], [IGNORED, 5, END, IGNORED]]


def test_what_was_given_is_not_changed_and_rows_can_be_written_to() -> None:
    document: Document = [(True, words(1, 2))]
    rows = interleave([document, document], IMAGE, END, PAD)
    rows["ids"].fill_(0)
    rows["labels"].fill_(0)
    assert document[0][1].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("documents", "message"),
    [
        ([], "there are 0 documents; give at least one"),
        ([[(True, words(1))], []], "document 1 has 0 chunks"),
        (
            [[(True, words(1)), (False, torch.tensor([], dtype=torch.long))]],
            r"chunk 1 of document 0 has words of shape \(0,\)",
        ),
        ([[(True, words(1).reshape(1, 1))]], r"chunk 0 of document 0 has words of shape \(1, 1\)"),
    ],
)
def test_what_cannot_be_laid_out_is_named_with_its_place(documents: list[Document], message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        interleave(documents, IMAGE, END, PAD)


def examples(count: int) -> list[tuple[Tensor, Tensor, Tensor]]:
    return [(torch.randn(5, 3), words(10 + n, 11), words(*range(20, 21 + n))) for n in range(count)]


@pytest.mark.parametrize("shots", [0, 1, 3])
def test_a_prompt_is_solved_examples_and_an_open_question_with_a_picture_for_each_tag(shots: int) -> None:
    solved, picture = examples(shots), torch.randn(5, 3)
    prompt = few_shot_prompt(solved, picture, words(30, 31, 32), IMAGE, END)
    expected: list[int] = []
    for _, question, answer in solved:
        expected += [IMAGE, *question.tolist(), *answer.tolist(), END]
    assert prompt["ids"].tolist() == [*expected, IMAGE, 30, 31, 32]
    assert torch.equal(prompt["visual"], torch.stack([*(seen for seen, _, _ in solved), picture]))
    assert int((prompt["ids"] == IMAGE).sum()) == len(prompt["visual"]) == shots + 1
    assert int((prompt["ids"] == END).sum()) == shots
    # The question asked reads the picture asked about.
    assert media_index(prompt["ids"][None], IMAGE)[0, -3:].tolist() == [shots + 1] * 3


def test_a_prompt_is_the_row_of_its_document_without_the_last_sign() -> None:
    solved, picture, question = examples(2), torch.randn(5, 3), words(30, 31)
    chunks = [(True, torch.cat([asked, answer])) for _, asked, answer in solved]
    row = interleave([[*chunks, (True, question)]], IMAGE, END, PAD)["ids"][0]
    assert torch.equal(few_shot_prompt(solved, picture, question, IMAGE, END)["ids"], row[:-1])


NOTHING = torch.tensor([], dtype=torch.long)


@pytest.mark.parametrize(
    ("solved", "question", "message"),
    [
        ([], NOTHING, "example 0 has 0 ids of question and no ids of answer"),
        (
            [(torch.ones(5, 3), NOTHING, words(1))],
            words(2),
            "example 0 has 0 ids of question and 1 ids of answer",
        ),
        (
            [*examples(1), (torch.ones(5, 3), words(1, 4), NOTHING)],
            words(2),
            "example 1 has 2 ids of question and 0 ids of answer",
        ),
        ([], torch.ones(2, 3, dtype=torch.long), r"example 0 has ids of shape \(2, 3\); give"),
        (
            [(torch.ones(4, 3), words(1), words(1))],
            words(2),
            r"picture 0 is \(4, 3\) and the one asked about \(5, 3\)",
        ),
    ],
)
def test_what_makes_no_prompt_is_named_with_its_numbers(
    solved: list[tuple[Tensor, Tensor, Tensor]], question: Tensor, message: str
) -> None:
    with pytest.raises(ShapeError, match=message):
        inspect.unwrap(few_shot_prompt)(solved, torch.ones(5, 3), question, IMAGE, END)
