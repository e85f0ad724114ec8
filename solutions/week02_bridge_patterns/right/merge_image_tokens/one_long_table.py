"""Right: words and visual tokens in one table, and every position picks its line."""

import torch


def merge_image_tokens(input_ids, labels, features, embedding, image_id):
    n, v, d = features.shape
    asked = sum((ids == image_id).sum().item() for ids in input_ids)
    if asked != n:
        raise ValueError(f"asked for {asked} pictures, given {n}")
    nothing = embedding.new_zeros(1, d)
    table = torch.cat([embedding, features.reshape(n * v, d), nothing])
    picked, targets, seen = [], [], 0
    for ids, row_labels in zip(input_ids, labels, strict=True):
        lines, row_targets = [], []
        for word, label in zip(ids.tolist(), row_labels.tolist(), strict=True):
            if word == image_id:
                start = len(embedding) + seen * v
                lines.extend(range(start, start + v))
                row_targets.extend([-100] * v)
                seen += 1
            else:
                lines.append(word)
                row_targets.append(label)
        picked.append(lines)
        targets.append(row_targets)
    longest = max(map(len, picked))
    pad = [longest - len(lines) for lines in picked]
    lines = torch.tensor([row + [len(table) - 1] * n for row, n in zip(picked, pad, strict=True)])
    return {
        "embeds": table[lines],
        "keep": lines != len(table) - 1,
        "positions": torch.tensor([[*range(len(row)), *[0] * n] for row, n in zip(picked, pad, strict=True)]),
        "labels": torch.tensor([row + [-100] * n for row, n in zip(targets, pad, strict=True)]),
    }
