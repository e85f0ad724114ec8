"""Right: ids first; what is learned is read off them afterwards, walking along each row."""

import torch
import torch.nn.functional as F


def interleave(documents, image_id, end_of_chunk_id, pad_id):
    rows = [row(number, document, image_id, end_of_chunk_id) for number, document in enumerate(documents)]
    longest = max([len(one) for one in rows], default=0)
    if not longest:
        raise ValueError(f"{len(documents)} documents: nothing to lay out.")
    learned = [inside(one, image_id, end_of_chunk_id) for one in rows]
    labels = [torch.where(where, one, -100) for where, one in zip(learned, rows, strict=True)]
    return {
        "keep": torch.stack([F.pad(torch.ones_like(one).bool(), (0, longest - len(one))) for one in rows]),
        "ids": torch.stack([F.pad(one, (0, longest - len(one)), value=pad_id) for one in rows]),
        "labels": torch.stack([F.pad(one, (0, longest - len(one)), value=-100) for one in labels]),
    }


def row(number, document, image_id, end_of_chunk_id):
    if not any(True for _ in document):
        raise ValueError(f"document {number} has no chunks (0).")
    pieces = []
    for place, (has_picture, words) in enumerate(document):
        if words.numel() == 0:
            raise ValueError(f"document {number}: chunk {place} has no words.")
        tag = torch.tensor([image_id] if has_picture else [], dtype=torch.long)
        pieces.append(torch.cat([tag, words, torch.tensor([end_of_chunk_id])]))
    return torch.cat(pieces)


def inside(ids, image_id, end_of_chunk_id):
    """True between a tag and the next sign for an end, the sign included and the tag not."""
    open_, found = False, []
    for token in ids.tolist():
        found.append(open_)
        if token == image_id:
            open_ = True
        elif token == end_of_chunk_id:
            open_ = False
    return torch.tensor(found)
