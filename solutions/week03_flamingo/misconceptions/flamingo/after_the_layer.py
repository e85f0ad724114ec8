"""Misconception: the block stands after its layer.

Tell: Your blocks read what their layers have made, so the last block stands behind the last layer, and
nothing reads before the first. In Flamingo a block stands before its layer: what it has read, the layer can
work with.
Caught by: what_a_word_has_read_goes_on, blocks_stand_before_every_nth_layer,
closed_blocks_leave_the_model_as_it_is, no_call_remembers_another, hidden_states_by_name_are_met_too,
what_follows_goes_to_the_model, gradients_reach_blocks_and_picture
"""

from torch import nn


def reads(block, visual, media_mask):
    return lambda layer, inputs, output: block(output, visual, media_mask)


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
            layer.register_forward_hook(reads(block, visual, media_mask))
            for layer, block in zip(layers, self.blocks, strict=True)
        ]
        try:
            return self.language_model(*args, **kwargs)
        finally:
            for hook in hooks:
                hook.remove()
