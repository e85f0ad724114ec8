"""Hidden checks of few_shot_prompt.

Axes in this file:
    t  tokens of the prompt      n  its pictures      v  visual tokens of one      d  their width
"""

from course_lib.checking import (
    claim,
    expect,
    expect_keys,
    expect_raises,
    expect_same,
    expect_tensor,
)
from course_lib.interleave import few_shot_prompt

REFERENCE = few_shot_prompt

V, D = 5, 7


def drawn(draw, shots):
    """Examples, a picture, a question and the two signs. No two questions or answers are equally long."""
    image_id, end_id = draw.permutation(9)[:2].tolist()  # words run from 10 up
    lengths = [1 + int(n) for n in draw.permutation(2 * shots + 1)] if shots else [draw.integer(2, 6)]
    words = [draw.integers(10, 90, n) for n in lengths]
    examples = [(draw.normal(V, D), words[2 * k], words[2 * k + 1]) for k in range(shots)]
    return {
        "examples": examples,
        "picture": draw.normal(V, D),
        "question": words[-1],
        "image_id": image_id,
        "end_of_chunk_id": end_id,
    }


def prompt_by(side, given):
    """Its dict, with ids in one row and pictures along an axis of their own."""
    found = expect_keys(side(**given), ("ids", "visual"), look="Return a dict with these two.")
    ids = expect_tensor(found["ids"], look="ids is one tensor.")
    expect(
        ids.dim() == 1 and not ids.is_floating_point(),
        seen=f"ids of shape {tuple(ids.shape)} and type {ids.dtype}",
        look="One row of whole numbers, without an axis for a batch.",
    )
    return found


@claim("few_shot_prompt", "With no, one, two or four examples, every token stands in its place.", weight=2)
def every_token_stands_in_its_place(subject, reference, draw):
    for shots in (2, 0, 1, 4):
        given = drawn(draw, shots)
        seen, wanted = prompt_by(subject, given)["ids"], prompt_by(reference, given)["ids"]
        expect_same(
            seen,
            wanted,
            look=f"{shots} examples. Walk along the prompt by hand: tag, question, answer, end for each of "
            "them, in the order in which they came. What stands behind the last end?",
        )


@claim("few_shot_prompt", "There is one picture for each tag, in the order of the tags.", weight=2)
def pictures_come_in_the_order_of_their_tags(subject, reference, draw):
    for shots in (3, 1, 0):
        given = drawn(draw, shots)
        found = prompt_by(subject, given)
        tags = int((found["ids"] == given["image_id"]).sum())
        expect(
            tags == shots + 1,
            seen=f"{tags} tags for {shots} examples and a question",
            look="One tag for each picture, and the open question has one, too.",
        )
        expect_same(
            found["visual"],
            prompt_by(reference, given)["visual"],
            tolerance=0.0,
            look="float[n v d]: the first picture belongs to the first tag, and the picture that is asked "
            "about to the last.",
        )


@claim("few_shot_prompt", "Every example is closed by the sign, and nothing closes the open question.")
def only_the_last_question_is_open(subject, reference, draw):
    for shots in (2, 4, 0):
        given = drawn(draw, shots)
        ids = prompt_by(subject, given)["ids"]
        end = given["end_of_chunk_id"]
        ends = int((ids == end).sum())
        expect(
            ends == shots,
            seen=f"{ends} signs of an end for {shots} examples",
            look="The sign comes behind an answer. The answer to the last question is what the model is to "
            "write: a closed chunk leaves it nothing to say.",
        )
        behind = (ids == end).nonzero().flatten() + 1
        expect(
            bool((behind < len(ids)).all()) and bool((ids[behind % len(ids)] == given["image_id"]).all()),
            seen="behind a sign of an end there stands something else than a tag",
            look="A chunk begins with its tag. Which comes first, a question's tag or its words?",
        )
        question = given["question"]
        expect_same(
            ids[len(ids) - len(question) :],
            question,
            look="The prompt ends with the last word of the open question, and the model goes on from there.",
        )


@claim("few_shot_prompt", "Question and answer of an example stand side by side behind its tag.")
def a_question_stands_before_its_answer(subject, reference, draw):
    given = drawn(draw, 3)
    ids = prompt_by(subject, given)["ids"].tolist()
    for number, (_, question, answer) in enumerate(given["examples"]):
        chunk = [given["image_id"], *question.tolist(), *answer.tolist(), given["end_of_chunk_id"]]
        there = any(ids[k : k + len(chunk)] == chunk for k in range(len(ids)))
        expect(
            there,
            seen=f"tag, question, answer and end of example {number} do not stand side by side",
            look="In which order do the four go, and does anything come between them?",
        )


@claim("few_shot_prompt", "What it was given stays as it was.", weight=0.5)
def what_it_was_given_stays_as_it_was(subject, reference, draw):
    given = drawn(draw, 2)
    changed = subject.changed_inputs(**given)
    expect(
        not changed,
        seen=f"{len(changed)} of the tensors it was given were written into",
        look="The same examples serve the next question. Write into a copy.",
    )
    for key in ("ids", "visual"):
        expect_same(
            prompt_by(subject, given)[key],
            prompt_by(reference, given)[key],
            look=f"Nothing was written into. Is {key} right, too?",
        )


@claim("few_shot_prompt", "A question or an answer without words is a ValueError.")
def nothing_is_asked_without_words(subject, reference, draw):
    for example, part in ((1, 2), (0, 1), (2, 2), (0, 2), (1, 1), (None, None)):
        given = drawn(draw, 3)
        expect_same(
            prompt_by(subject, given)["ids"],
            prompt_by(reference, given)["ids"],
            look="With words everywhere it is no error.",
        )
        if example is None:
            given["question"] = given["question"][:0]
        else:
            changed = list(given["examples"][example])
            changed[part] = changed[part][:0]
            given["examples"][example] = tuple(changed)
        what = (
            "the open question" if part is None else f"the {('question', 'answer')[part - 1]} of an example"
        )
        expect_raises(
            lambda given=given: subject(**given),
            "ValueError",
            mentions=[0],
            look=f"Here {what} has 0 ids. Say so, with the number.",
        )


@claim(
    "few_shot_prompt",
    "Pictures of different shapes are a ValueError that names both numbers of visual tokens.",
)
def pictures_have_one_shape(subject, reference, draw):
    for example in (0, 2):
        given = drawn(draw, 3)
        expect_same(
            prompt_by(subject, given)["visual"],
            prompt_by(reference, given)["visual"],
            look="Pictures of one shape are no error.",
        )
        other = draw.integer(V + 1, 2 * V)
        given["examples"][example] = (draw.normal(other, D), *given["examples"][example][1:])
        expect_raises(
            lambda given=given: subject(**given),
            "ValueError",
            mentions=[V, other],
            look="Pictures of one prompt are stacked. torch.stack refuses them too, in a RuntimeError that "
            "knows nothing of pictures.",
        )
