"""Right: one pair at a time, each with the tokens that it keeps."""

import torch
from torch import nn


class LateFusion(nn.Module):
    def __init__(self, d_visual, d_text, d_shared, n_answers):
        super().__init__()
        self.head = nn.Sequential(
            nn.Linear(d_shared * 3, d_shared), nn.GELU(), nn.Linear(d_shared, n_answers)
        )
        self.question = nn.Linear(d_text, d_shared)
        self.picture = nn.Linear(d_visual, d_shared)

    def summary(self, tokens, keep):
        kept = tokens if keep is None else tokens[keep]
        return kept.mean(0) if len(kept) else tokens.new_zeros(tokens.shape[1])

    def forward(self, visual, text, visual_mask=None, text_mask=None):
        rows = []
        for i in range(visual.shape[0]):
            seen = self.picture(self.summary(visual[i], None if visual_mask is None else visual_mask[i]))
            asked = self.question(self.summary(text[i], None if text_mask is None else text_mask[i]))
            rows.append(self.head(torch.cat((seen, asked, seen.mul(asked)))))
        return torch.stack(rows)
