"""Right: hooks in an ExitStack, which takes them out again."""

import math
from contextlib import ExitStack

from torch import nn


class Flamingo(nn.Module):
    def __init__(self, language_model: nn.Module, blocks: nn.ModuleList, interval: int = 1) -> None:
        super().__init__()
        n_places = math.ceil(len(language_model.model.layers) / interval)
        if n_places != len(blocks):
            raise ValueError(f"{n_places} blocks are needed, {len(blocks)} were given")
        self.language_model = language_model
        self.blocks = blocks
        self.interval = interval

    def forward(self, visual, media_mask, *args, **kwargs):
        def add(block):
            def hook(_, inputs, named):
                inputs, named = list(inputs), dict(named)
                place, key = (inputs, 0) if inputs else (named, "hidden_states")
                place[key] = block(place[key], visual=visual, media_mask=media_mask)
                return tuple(inputs), named

            return hook

        with ExitStack() as stack:
            for i, layer in enumerate(self.language_model.model.layers):
                if i % self.interval == 0:
                    handle = layer.register_forward_pre_hook(
                        add(self.blocks[i // self.interval]), with_kwargs=True
                    )
                    stack.callback(handle.remove)
            return self.language_model(*args, **kwargs)
