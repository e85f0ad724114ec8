"""Right: functional padding puts the signs around the words; einops' pack stacks the pictures."""

import torch
import torch.nn.functional as F
from einops import rearrange


def few_shot_prompt(examples, picture, question, image_id, end_of_chunk_id):
    def chunk(words, closed):
        opened = F.pad(words, (1, 0), value=image_id)
        return F.pad(opened, (0, 1), value=end_of_chunk_id) if closed else opened

    shown = [one[0] for one in examples] + [picture]
    words = [torch.cat(one[1:]) for one in examples] + [question]
    shortest = min([len(part) for one in examples for part in one[1:]] + [len(question)])
    if shortest < 1:
        raise ValueError(f"the shortest question or answer has {shortest} ids")
    for one in shown:
        if one.shape != picture.shape:
            raise ValueError(f"{list(one.shape)} is not {list(picture.shape)}")
    chunks = [chunk(row, k < len(examples)) for k, row in enumerate(words)]
    return {"ids": torch.cat(chunks), "visual": rearrange(shown, "n v d -> n v d")}
