"""Misconception: The first example should stand next to the question.

Tell: Your examples come in the reverse order, pictures and all. They are given in the order they are to
stand in.
Caught by: every_token_stands_in_its_place, pictures_come_in_the_order_of_their_tags,
what_it_was_given_stays_as_it_was, nothing_is_asked_without_words, pictures_have_one_shape
"""

import torch


def few_shot_prompt(examples, picture, question, image_id, end_of_chunk_id):
    tag, end = torch.tensor([image_id]), torch.tensor([end_of_chunk_id])
    pieces, pictures = [], []
    for shown, asked, answer in reversed(examples):
        if shown.shape != picture.shape:
            raise ValueError(f"pictures of {len(shown)} and of {len(picture)} visual tokens")
        if not len(asked) or not len(answer):
            raise ValueError(f"an example has {len(asked)} ids of question and {len(answer)} of answer")
        pieces += [tag, asked, answer, end]
        pictures.append(shown)
    if not len(question):
        raise ValueError("the question has 0 ids")
    pieces += [tag, question]
    pictures.append(picture)
    return {"ids": torch.cat(pieces), "visual": torch.stack(pictures)}
