"""Misconception: the blocks read what the last layer has made.

Tell: All your blocks stand behind the last layer, so no layer of the language model ever works with what
they read.
Caught by: what_a_word_has_read_goes_on, blocks_stand_before_every_nth_layer,
closed_blocks_leave_the_model_as_it_is, no_call_remembers_another, hidden_states_by_name_are_met_too,
what_follows_goes_to_the_model, gradients_reach_blocks_and_picture
"""

from torch import nn


def reads(blocks, visual, media_mask):
    def change(layer, inputs, output):
        for block in blocks:
            output = block(output, visual, media_mask)
        return output

    return change


class Flamingo(nn.Module):
    def __init__(self, language_model, blocks, interval=1):
        super().__init__()
        self.language_model, self.blocks, self.interval = language_model, blocks, interval
        places = len(language_model.model.layers[::interval])
        if len(blocks) != places:
            raise ValueError(f"interval={interval} has places for {places} blocks, not {len(blocks)}.")

    def forward(self, visual, media_mask, *args, **kwargs):
        last = self.language_model.model.layers[-1]
        hook = last.register_forward_hook(reads(self.blocks, visual, media_mask))
        try:
            return self.language_model(*args, **kwargs)
        finally:
            hook.remove()
