"""Misconception: the stream is cut before each block, so that the frozen layers keep out of it.

Tell: You detach the hidden states before a block reads. The frozen layers get no gradient anyway; but an
earlier block learns through the later ones, and that way is cut.
Caught by: gradients_reach_blocks_and_picture
"""

from torch import nn


def reads(block, visual, media_mask):
    def change(layer, args, kwargs):
        if args:
            return (block(args[0].detach(), visual, media_mask), *args[1:]), kwargs
        hidden = kwargs["hidden_states"].detach()
        return args, {**kwargs, "hidden_states": block(hidden, visual, media_mask)}

    return change


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
            layer.register_forward_pre_hook(reads(block, visual, media_mask), with_kwargs=True)
            for layer, block in zip(layers, self.blocks, strict=True)
        ]
        try:
            return self.language_model(*args, **kwargs)
        finally:
            for hook in hooks:
                hook.remove()
