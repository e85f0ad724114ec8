"""Misconception: An example is an object that one may complete.

Tell: You write into what you were given: an answer of the caller's has changed. The same examples serve
the next question.
Caught by: what_it_was_given_stays_as_it_was
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
        pieces += [tag, asked, answer.clone(), end]
        answer.fill_(end_of_chunk_id)
        pictures.append(shown)
    if not len(question):
        raise ValueError("the question has 0 ids")
    pieces += [tag, question]
    pictures.append(picture)
    return {"ids": torch.cat(pieces), "visual": torch.stack(pictures)}
