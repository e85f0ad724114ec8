"""Misconception: the caller adds what a block returns to the stream.

Tell: You add the block's output to the stream, where the stream is in it already: the text counts twice,
also with closed gates. A block returns the new stream.
Caught by: closed_it_is_the_language_model, blocks_stand_before_every_nth_layer,
closed_blocks_leave_the_model_as_it_is, no_call_remembers_another, hidden_states_by_name_are_met_too,
what_follows_goes_to_the_model, gradients_reach_blocks_and_picture
"""

from torch import nn


def reads(block, visual, media_mask):
    def change(layer, args, kwargs):
        if args:
            return (args[0] + block(args[0], visual, media_mask), *args[1:]), kwargs
        hidden = kwargs["hidden_states"]
        return args, {**kwargs, "hidden_states": hidden + block(hidden, visual, media_mask)}

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
