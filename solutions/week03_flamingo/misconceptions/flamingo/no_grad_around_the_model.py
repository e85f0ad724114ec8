"""Misconception: a frozen model runs under no_grad.

Tell: The language model runs under torch.no_grad(), and the blocks are called inside it: nothing in them
gets a gradient, and training changes nothing at all. Frozen are the weights, not the computation.
Caught by: gradients_reach_blocks_and_picture
"""

import torch
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
            layer.register_forward_pre_hook(reads(block, visual, media_mask), with_kwargs=True)
            for layer, block in zip(layers, self.blocks, strict=True)
        ]
        try:
            with torch.no_grad():
                return self.language_model(*args, **kwargs)
        finally:
            for hook in hooks:
                hook.remove()
