"""Misconception: Few-shot means at least one example.

Tell: You refuse a prompt without examples. Zero shots are a prompt too: a tag and a question.
Caught by: no_examples_are_a_prompt_too, every_token_stands_in_its_place,
pictures_come_in_the_order_of_their_tags, only_the_last_question_is_open
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
    if not len(question) or not examples:
        raise ValueError(f"{len(question)} ids of question, {len(examples)} examples")
    pieces += [tag, question]
    pictures.append(picture)
    return {"ids": torch.cat(pieces), "visual": torch.stack(pictures)}
