"""Right: from the open question backwards, each example put in front of what is there."""

import torch


def few_shot_prompt(examples, picture, question, image_id, end_of_chunk_id):
    if not question.shape[0]:
        raise ValueError("there is no question: 0 ids")
    ids, visual = torch.hstack([torch.tensor(image_id), question]), picture.unsqueeze(0)
    for shown, asked, answer in reversed(list(examples)):
        if 0 in (asked.shape[0], answer.shape[0]):
            raise ValueError(f"lengths {asked.shape[0]} and {answer.shape[0]}; neither may be 0")
        if shown.shape[0] != picture.shape[0] or shown.shape[1] != picture.shape[1]:
            raise ValueError(f"{shown.shape} beside {picture.shape}")
        closed = [torch.tensor(image_id), asked, answer, torch.tensor(end_of_chunk_id)]
        ids = torch.hstack([*closed, ids])
        visual = torch.vstack([shown.unsqueeze(0), visual])
    return {"ids": ids, "visual": visual}
