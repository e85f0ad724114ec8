"""Right: plain numbers in a list, and one tensor at the end."""

import torch


def few_shot_prompt(examples, picture, question, image_id, end_of_chunk_id):
    sizes = {tuple(shown.shape) for shown, _, _ in examples} | {tuple(picture.shape)}
    if len(sizes) > 1:
        raise ValueError(f"pictures of one prompt have one shape, not {sorted(sizes)}")
    rows = [(asked.tolist(), answer.tolist()) for _, asked, answer in examples]
    if any(len(part) == 0 for row in rows for part in row) or question.numel() == 0:
        raise ValueError("somewhere there are 0 ids")
    ids = []
    for asked, answer in rows:
        ids.extend((image_id, *asked, *answer, end_of_chunk_id))
    ids.extend((image_id, *question.tolist()))
    stack = torch.empty(len(rows) + 1, *picture.shape)
    for k, (shown, _, _) in enumerate(examples):
        stack[k] = shown
    stack[-1] = picture
    return {"ids": torch.tensor(ids), "visual": stack}
