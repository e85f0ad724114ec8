"""Misconception: Blocks that find no place are no harm.

Tell: You do not count the blocks. One too many never learns, and one too few is an IndexError in the
middle of a training.

Caught by: what_does_not_fit_is_refused
"""

import torch
from torch import nn


class StreamFusion(nn.Module):
    def __init__(self, language_model, enter=None, blocks=None, interval=1):
        super().__init__()
        if enter is None and blocks is None:
            raise ValueError("neither enter nor blocks: give at least one way in.")
        if interval < 1:
            raise ValueError(f"interval={interval}; give 1 or more.")
        self.language_model, self.enter, self.blocks, self.interval = language_model, enter, blocks, interval

    def forward(self, visual, ids, keep, visual_mask=None, sees=None, positions=None):
        words = self.language_model.model.embed_tokens(ids)
        front = words[:, :0] if self.enter is None else self.enter(visual)
        p = front.shape[1]
        real = torch.cat([keep.new_ones(front.shape[:2]), keep], dim=1)
        if positions is None:
            positions = (real.long().cumsum(dim=1) - 1).clamp(min=0)

        def before_layer(i, hidden):
            if self.blocks is None or i % self.interval:
                return hidden
            text = self.blocks[i // self.interval](hidden[:, p:], visual, visual_mask)
            return torch.cat([hidden[:, :p], text], dim=1)

        stream = torch.cat([front, words], dim=1)
        logits = self.language_model(stream, real if sees is None else sees, positions, before_layer)
        return logits[:, p:]
