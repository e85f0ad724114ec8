"""Misconception: a hook that was registered is gone when the call is over.

Tell: Each of your calls adds its hooks to those of the calls before it, so the blocks read twice in the
second call, once with the old picture, and the language model on its own sees pictures too.
register_forward_pre_hook returns a handle: call its remove() when the call is over.
Caught by: closed_it_is_the_language_model, closed_blocks_leave_the_model_as_it_is,
the_language_model_alone_stays_itself, no_call_remembers_another, hidden_states_by_name_are_met_too,
what_follows_goes_to_the_model
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
        for layer, block in zip(layers, self.blocks, strict=True):
            layer.register_forward_pre_hook(reads(block, visual, media_mask), with_kwargs=True)
        return self.language_model(*args, **kwargs)
