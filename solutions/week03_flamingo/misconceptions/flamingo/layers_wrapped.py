"""Misconception: a layer is replaced by a module that holds a block and the layer.

Tell: You put each layer into a module of your own. The numbers are right, and every parameter in it has a
new name: no checkpoint of the language model fits any more, and each block is in two places.
Caught by: blocks_stand_before_every_nth_layer, closed_blocks_leave_the_model_as_it_is,
the_language_model_alone_stays_itself, names_stay_what_they_are, no_call_remembers_another,
hidden_states_by_name_are_met_too, what_follows_goes_to_the_model, gradients_reach_blocks_and_picture
"""

from torch import nn


class Wrapped(nn.Module):
    def __init__(self, block, layer, owner):
        super().__init__()
        self.block, self.layer, self.owner = block, layer, owner

    def forward(self, *args, **kwargs):
        if self.owner["seen"] is None:
            return self.layer(*args, **kwargs)
        if args:
            return self.layer(self.block(args[0], *self.owner["seen"]), *args[1:], **kwargs)
        kwargs["hidden_states"] = self.block(kwargs["hidden_states"], *self.owner["seen"])
        return self.layer(**kwargs)


class Flamingo(nn.Module):
    def __init__(self, language_model, blocks, interval=1):
        super().__init__()
        self.language_model, self.blocks, self.interval = language_model, blocks, interval
        places = len(language_model.model.layers[::interval])
        if len(blocks) != places:
            raise ValueError(f"interval={interval} has places for {places} blocks, not {len(blocks)}.")
        self.owner = {"seen": None}
        for j, block in enumerate(blocks):
            layer = language_model.model.layers[j * interval]
            language_model.model.layers[j * interval] = Wrapped(block, layer, self.owner)

    def forward(self, visual, media_mask, *args, **kwargs):
        self.owner["seen"] = (visual, media_mask)
        try:
            return self.language_model(*args, **kwargs)
        finally:
            self.owner["seen"] = None
