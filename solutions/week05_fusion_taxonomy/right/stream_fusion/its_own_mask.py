"""Right: the causal mask is written out, blocks are looked up by layer, and blocks see the whole stream."""

import torch
from einops import rearrange, repeat
from torch import nn


class StreamFusion(nn.Module):
    def __init__(self, language_model, enter=None, blocks=None, interval=1):
        super().__init__()
        self.language_model, self.enter, self.blocks = language_model, enter, blocks
        if enter is None and blocks is None:
            raise ValueError("enter or blocks, at least one")
        self.at = {}
        if blocks is not None:
            if interval < 1:
                raise ValueError(f"interval {interval} < 1")
            layers = range(0, len(language_model.model.layers), interval)
            if len(layers) != len(blocks):
                raise ValueError(
                    f"{len(layers)} blocks are needed before layers {[*layers]}, not {len(blocks)}"
                )
            self.at = {layer: n for n, layer in enumerate(layers)}

    def forward(self, visual, ids, keep, visual_mask=None, sees=None, positions=None):
        words = self.language_model.model.embed_tokens(ids)
        b, t, d = words.shape
        front = torch.zeros(b, 0, d) if self.enter is None else self.enter(visual)
        real = torch.cat([torch.ones(b, front.shape[1]).bool(), keep], 1)
        s = real.shape[1]
        if sees is None:
            place = torch.arange(s)
            past = rearrange(place, "i -> i 1") > rearrange(place, "j -> 1 j")
            sees = past & repeat(real, "b j -> b i j", i=s) | (place[:, None] == place)
        if positions is None:
            before = torch.ones(s, s).tril(-1)
            positions = torch.einsum("ij,bj->bi", before, real.float()).round().long()

        def before_layer(i, hidden):
            n = self.at.get(i)
            if n is None:
                return hidden
            read = self.blocks[n](hidden, visual, visual_mask)
            is_word = torch.arange(s) >= s - t
            return torch.where(is_word[:, None], read, hidden)

        everything = self.language_model(torch.cat([front, words], 1), sees, positions, before_layer)
        return everything.split([s - t, t], dim=1)[1]
