"""Misconception: hidden states always come by position.

Tell: Your hook knows hidden states by position only. A library may call its layers as
layer(hidden_states=...), and then there is nothing at place 0. With with_kwargs=True a hook gets both.
Caught by: hidden_states_by_name_are_met_too
"""

from torch import nn


def reads(block, visual, media_mask):
    return lambda layer, args: (block(args[0], visual, media_mask), *args[1:])


class Flamingo(nn.Module):
    def __init__(self, language_model, blocks, interval=1):
        super().__init__()
        self.language_model, self.blocks, self.interval = language_model, blocks, interval
        places = len(language_model.model.layers[::interval])
        if len(blocks) != places:
            raise ValueError(f"interval={interval} has places for {places} blocks, not {len(blocks)}.")

    def forward(self, visual, media_mask, *args, **kwargs):
        layers = self.language_model.model.layers[:: self.interval]
        hooks = [
            layer.register_forward_pre_hook(reads(block, visual, media_mask))
            for layer, block in zip(layers, self.blocks, strict=True)
        ]
        try:
            return self.language_model(*args, **kwargs)
        finally:
            for hook in hooks:
                hook.remove()
