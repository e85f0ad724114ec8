"""Right: a counter that walks along each row, in plain Python."""

import torch


def media_index(ids, image_id, end_id=None):
    rows = []
    for tokens in ids.tolist():
        seen, over, row = 0, False, []
        for token in tokens:
            if token == image_id:
                seen, over = seen + 1, False
            row.append(0 if over else seen)
            if end_id is not None and token == end_id:
                over = True
        rows.append(row)
    return torch.tensor(rows, dtype=torch.long)
