"""Misconception: zip takes as many as there are.

Tell: A number of blocks that does not fit is taken without a word: zip stops at the shorter list, and some
blocks, or some layers, are left out.
Caught by: too_many_blocks_are_refused, a_wrong_number_of_blocks_is_refused
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

    def forward(self, visual, media_mask, *args, **kwargs):
        layers = self.language_model.model.layers[:: self.interval]
        hooks = [
            layer.register_forward_pre_hook(reads(block, visual, media_mask), with_kwargs=True)
            for layer, block in zip(layers, self.blocks, strict=False)
        ]
        try:
            return self.language_model(*args, **kwargs)
        finally:
            for hook in hooks:
                hook.remove()
