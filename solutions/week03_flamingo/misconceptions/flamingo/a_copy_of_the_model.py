"""Misconception: the language model is not edited if one works on a copy.

Tell: You work on a copy of the language model. It is stored twice, and whatever is done to the one that was
given, freezing, moving, loading, does not reach the one that answers.
Caught by: closed_blocks_leave_the_model_as_it_is, names_stay_what_they_are, no_call_remembers_another
"""

from copy import deepcopy

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
        self.language_model, self.blocks, self.interval = deepcopy(language_model), blocks, interval
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
