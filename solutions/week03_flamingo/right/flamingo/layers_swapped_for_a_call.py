"""Right: in the time of a call, other modules stand in the list of layers."""

from torch import nn


class Before(nn.Module):
    def __init__(self, layer, read):
        super().__init__()
        self.layer, self.read = layer, read

    def forward(self, *args, **kwargs):
        if args:
            first, *others = args
            return self.layer(self.read(first), *others, **kwargs)
        return self.layer(**{**kwargs, "hidden_states": self.read(kwargs["hidden_states"])})


class Flamingo(nn.Module):
    def __init__(self, language_model, blocks, interval=1):
        super().__init__()
        self.language_model = language_model
        self.blocks = blocks
        self.interval = interval
        n_layers = len(language_model.model.layers)
        wanted = -(-n_layers // interval)
        if wanted != len(blocks):
            raise ValueError(f"got {len(blocks)} blocks; {n_layers} layers ask for {wanted}")

    def forward(self, visual, media_mask, *args, **kwargs):
        stack = self.language_model.model
        layers = stack.layers
        with_blocks = list(layers)
        for j, block in enumerate(self.blocks):

            def read(text, block=block):
                return block(text, visual, media_mask)

            with_blocks[j * self.interval] = Before(layers[j * self.interval], read)
        try:
            stack.layers = nn.ModuleList(with_blocks)
            return self.language_model(*args, **kwargs)
        finally:
            stack.layers = layers
