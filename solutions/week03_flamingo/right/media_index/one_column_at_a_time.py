"""Right: all rows step forward together, one column at a time."""

import torch


def media_index(ids, image_id, end_id=None):
    count = torch.zeros(len(ids), dtype=torch.long)
    reading = torch.zeros(len(ids), dtype=torch.bool)
    columns = []
    for column in ids.T:
        count = count + (column == image_id)
        reading = reading | (column == image_id)
        columns.append(count * reading)
        if end_id is not None:
            reading = reading & (column != end_id)
    return torch.stack(columns, dim=1)
