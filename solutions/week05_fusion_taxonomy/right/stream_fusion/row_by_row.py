"""Right: each row of the batch is read alone, in a loop, with one column of the stream after another."""

import torch
from torch import nn


class StreamFusion(nn.Module):
    def __init__(self, language_model, enter=None, blocks=None, interval=1):
        super().__init__()
        self.language_model, self.enter, self.blocks, self.interval = language_model, enter, blocks, interval
        n_layers = sum(1 for _ in language_model.model.layers)
        match (enter, blocks):
            case (None, None):
                raise ValueError("a picture needs a way in")
            case (_, None):
                return
        if interval < 1:
            raise ValueError(f"an interval of {interval} is none")
        wanted = (n_layers - 1) // interval + 1
        if len(blocks) != wanted:
            raise ValueError(f"{n_layers} layers, interval {interval}: {wanted} blocks, not {len(blocks)}")

    def one(self, visual, ids, keep, visual_mask, sees, positions):
        columns = [] if self.enter is None else list(self.enter(visual).unbind(1))
        p = len(columns)
        columns += [self.language_model.model.embed_tokens(word) for word in ids.unbind(1)]
        real = [True] * p + keep[0].tolist()
        if positions is None:
            counted = [max(0, sum(real[: n + 1]) - 1) for n in range(len(real))]
            positions = torch.tensor([counted])
        if sees is None:
            sees = torch.tensor([real])

        def before_layer(i, hidden):
            if self.blocks is not None and i in range(0, 1000, self.interval):
                hidden = hidden.clone()
                hidden[:, p:] = self.blocks[i // self.interval](hidden[:, p:].clone(), visual, visual_mask)
            return hidden

        return self.language_model(torch.stack(columns, 1), sees, positions, before_layer)[:, p:]

    def forward(self, visual, ids, keep, visual_mask=None, sees=None, positions=None):
        def row(given, n):
            return None if given is None else given[n : n + 1]

        everything = (visual, ids, keep, visual_mask, sees, positions)
        return torch.cat([self.one(*(row(given, n) for given in everything)) for n in range(len(ids))])
