"""Misconception: a function made in a loop keeps the block that it was made with.

Tell: All your places call one and the same block, the last. A function that is made in a loop looks its
names up when it is called, and by then the loop is over. Make the function in a function of its own, which
gets the block as an argument.
Caught by: blocks_stand_before_every_nth_layer, closed_blocks_leave_the_model_as_it_is,
no_call_remembers_another, hidden_states_by_name_are_met_too, what_follows_goes_to_the_model,
gradients_reach_blocks_and_picture
"""

from torch import nn


class Flamingo(nn.Module):
    def __init__(self, language_model, blocks, interval=1):
        super().__init__()
        self.language_model, self.blocks, self.interval = language_model, blocks, interval
        places = len(language_model.model.layers[::interval])
        if len(blocks) != places:
            raise ValueError(f"interval={interval} has places for {places} blocks, not {len(blocks)}.")

    def forward(self, visual, media_mask, *args, **kwargs):
        hooks = []
        for layer, block in zip(self.language_model.model.layers[:: self.interval], self.blocks, strict=True):

            def change(layer, args, kwargs):
                if args:
                    return (block(args[0], visual, media_mask), *args[1:]), kwargs  # noqa: B023, the mistake
                hidden = block(kwargs["hidden_states"], visual, media_mask)  # noqa: B023
                return args, {**kwargs, "hidden_states": hidden}

            hooks.append(layer.register_forward_pre_hook(change, with_kwargs=True))
        try:
            return self.language_model(*args, **kwargs)
        finally:
            for hook in hooks:
                hook.remove()
