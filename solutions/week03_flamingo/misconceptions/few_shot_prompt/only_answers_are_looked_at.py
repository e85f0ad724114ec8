"""Misconception: Only an answer can be missing.

Tell: You look whether answers are empty, and not whether questions are.
Caught by: nothing_is_asked_without_words
"""

import torch


def few_shot_prompt(examples, picture, question, image_id, end_of_chunk_id):
    tag, end = torch.tensor([image_id]), torch.tensor([end_of_chunk_id])
    pieces, pictures = [], []
    for shown, asked, answer in examples:
        if shown.shape != picture.shape:
            raise ValueError(f"pictures of {len(shown)} and of {len(picture)} visual tokens")
        if not len(answer):
            raise ValueError(f"an example has {len(answer)} ids of answer")
        pieces += [tag, asked, answer, end]
        pictures.append(shown)
    if not len(question):
        raise ValueError("the question has 0 ids")
    pieces += [tag, question]
    pictures.append(picture)
    return {"ids": torch.cat(pieces), "visual": torch.stack(pictures)}
