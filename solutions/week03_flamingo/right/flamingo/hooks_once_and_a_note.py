"""Right: hooks for good, which ask a note whether it is their turn."""

from torch import nn


class Flamingo(nn.Module):
    def __init__(self, language_model, blocks, interval=1):
        super().__init__()
        self.language_model, self.blocks, self.interval = language_model, blocks, interval
        wanted = len(language_model.model.layers[::interval])
        if len(blocks) != wanted:
            raise ValueError(f"interval={interval} has wanted for {wanted} blocks, not {len(blocks)}.")
        self.note = None
        for layer, block in zip(language_model.model.layers[::interval], blocks, strict=True):
            layer.register_forward_pre_hook(self.before(block), with_kwargs=True)

    def before(self, block):
        def change(layer, args, kwargs):
            if self.note is None:
                return None
            if args:
                return (block(args[0], *self.note), *args[1:]), kwargs
            return args, {**kwargs, "hidden_states": block(kwargs["hidden_states"], *self.note)}

        return change

    def forward(self, visual, media_mask, *args, **kwargs):
        self.note = (visual, media_mask)
        try:
            return self.language_model(*args, **kwargs)
        finally:
            self.note = None
