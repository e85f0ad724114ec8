"""Misconception: The latest picture comes first.

Tell: Your pictures come in the reverse order of their tags. The first picture belongs to the first tag.
Caught by: an_example_stands_before_the_open_question, pictures_come_in_the_order_of_their_tags,
what_it_was_given_stays_as_it_was, pictures_have_one_shape
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
        pieces += [tag, asked, answer, end]
        pictures.append(shown)
    if not len(question):
        raise ValueError("the question has 0 ids")
    pieces += [tag, question]
    pictures = [picture, *reversed(pictures)]
    return {"ids": torch.cat(pieces), "visual": torch.stack(pictures)}
