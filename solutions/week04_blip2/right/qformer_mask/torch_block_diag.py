"""Right: torch's block_diag and tril, in whole numbers, with `match` and a product for the padding."""

import torch


def qformer_mask(task, n_queries, text_keep):
    b, t = text_keep.shape
    s = n_queries + t
    ones = torch.ones(s, s, dtype=torch.int8)
    match task:
        case "contrast":
            sees = torch.block_diag(ones[:n_queries, :n_queries], ones[:t, :t])
        case "match":
            sees = ones
        case "write":
            sees = ones.tril()
            sees[:n_queries, :n_queries] = 1
        case other:
            raise ValueError(f"asked for {other}, can do contrast, match, write")
    columns = torch.hstack([ones[:1, :n_queries].expand(b, -1), text_keep.to(torch.int8)])
    return (sees * columns[:, None] + torch.eye(s, dtype=torch.int8)) > 0
