"""Misconception: the visual tokens are detached, because the vision encoder is frozen.

Tell: You detach the visual tokens. The encoder is frozen, but between it and you stands the resampler,
which trains from scratch, and learns only from what comes back through visual.
Caught by: gradients_reach_blocks_and_picture
"""

from torch import nn


def reads(block, visual, media_mask):
    def change(layer, args, kwargs):
        if args:
            return (block(args[0], visual, media_mask), *args[1:]), kwargs
        return args, {**kwargs, "hidden_states": block(kwargs["hidden_states"], visual, media_mask)}

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
            layer.register_forward_pre_hook(reads(block, visual.detach(), media_mask), with_kwargs=True)
            for layer, block in zip(layers, self.blocks, strict=True)
        ]
        try:
            return self.language_model(*args, **kwargs)
        finally:
            for hook in hooks:
                hook.remove()
