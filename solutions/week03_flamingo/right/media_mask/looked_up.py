"""Right: a mask for each picture of each row, and one for none; every token looks its own up."""

import torch


def media_mask(index, visual_mask):
    b, n, v = visual_mask.shape
    beyond = index[index > n]
    if len(beyond):
        raise ValueError(f"picture {beyond.max()} was asked for; {n} were given")
    of_picture = torch.stack([torch.block_diag(*row.unsqueeze(1).int()) for row in visual_mask]).bool()
    of_picture = torch.cat([torch.zeros(b, 1, n * v, dtype=torch.bool), of_picture], dim=1)
    return torch.gather(of_picture, 1, index[:, :, None].expand(-1, -1, n * v))
