"""Misconception: The order within an example does not matter.

Tell: Your answers stand before their questions. A model that reads from left to right then learns to ask.
Caught by: an_example_stands_before_the_open_question, every_token_stands_in_its_place,
a_question_stands_before_its_answer, what_it_was_given_stays_as_it_was, nothing_is_asked_without_words
"""

import torch


def few_shot_prompt(examples, picture, question, image_id, end_of_chunk_id):
    tag, end = torch.tensor([image_id]), torch.tensor([end_of_chunk_id])
    pieces, pictures = [], []
    for shown, asked, answer in examples:
        if shown.shape != picture.shape:
            raise ValueError(f"pictures of {len(shown)} and of {len(picture)} visual tokens")
        if not len(asked) or not len(answer):
            raise ValueError(f"an example has {len(asked)} ids of question and {len(answer)} of answer")
        pieces += [tag, answer, asked, end]
        pictures.append(shown)
    if not len(question):
        raise ValueError("the question has 0 ids")
    pieces += [tag, question]
    pictures.append(picture)
    return {"ids": torch.cat(pieces), "visual": torch.stack(pictures)}
