"""Right: every part by hand with functional calls, the attention as an einsum over heads."""

import torch
import torch.nn.functional as F
from torch import nn

from course_lib.post_norm import AddNorm, Hidden, PostNormAttention


def add_norm(part, new, old):
    summed = F.linear(new, part.dense.weight, part.dense.bias) + old
    return F.layer_norm(summed, summed.shape[-1:], part.LayerNorm.weight, part.LayerNorm.bias, 1e-12)


def attend(part, asking, source, keep):
    b, s, d = asking.shape
    h, e = part.n_heads, d // part.n_heads
    q = part.attention.query(asking).view(b, s, h, e)
    k = part.attention.key(source).view(b, -1, h, e)
    values = part.attention.value(source).view(b, -1, h, e)
    scores = torch.einsum("bihe,bjhe->bhij", q, k) / e**0.5
    if keep is not None:
        scores = scores.masked_fill(keep.logical_not().unsqueeze(1), float("-inf"))
    read = torch.einsum("bhij,bjhe->bihe", scores.softmax(dim=-1), values)
    return add_norm(part.output, read.reshape(b, s, d), asking)


class QFormerLayer(nn.Module):
    def __init__(self, d_model, d_visual, n_heads, d_hidden, looks, dropout=0.1):
        super().__init__()
        self.looks = looks
        self.output_query = AddNorm(d_hidden, d_model, dropout)
        self.intermediate_query = Hidden(d_model, d_hidden)
        self.output = AddNorm(d_hidden, d_model, dropout)
        self.intermediate = Hidden(d_model, d_hidden)
        if looks:
            self.crossattention = PostNormAttention(d_model, d_visual, n_heads, dropout)
        self.attention = PostNormAttention(d_model, d_model, n_heads, dropout)

    def forward(self, tokens, n_queries, sees=None, visual=None, visual_mask=None):
        if self.looks and n_queries > 0 and visual is None:
            raise ValueError(f"n_queries={n_queries} needs a picture: give visual")
        heard = attend(self.attention, tokens, tokens, sees)
        queries, text = heard.split([n_queries, heard.shape[1] - n_queries], dim=1)
        if self.looks and n_queries > 0:
            keep = None if visual_mask is None else visual_mask[:, None, :]
            queries = attend(self.crossattention, queries, visual, keep)
        sides = (
            (queries, self.intermediate_query, self.output_query),
            (text, self.intermediate, self.output),
        )
        there = [side for side in sides if side[0].shape[1]]
        return torch.cat([add_norm(out, F.gelu(wide.dense(x)), x) for x, wide, out in there], dim=1)
