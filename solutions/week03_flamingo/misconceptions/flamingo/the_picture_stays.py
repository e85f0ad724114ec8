"""Misconception: the pictures of the last call may stay where the hooks find them.

Tell: After your call the hooks still hold its pictures, so the language model on its own goes on looking at
them. Put them away when the call is over, also after an error.
Caught by: closed_it_is_the_language_model, closed_blocks_leave_the_model_as_it_is,
the_language_model_alone_stays_itself, no_call_remembers_another, hidden_states_by_name_are_met_too
"""

from torch import nn


class Flamingo(nn.Module):
    def __init__(self, language_model, blocks, interval=1):
        super().__init__()
        self.language_model, self.blocks, self.interval = language_model, blocks, interval
        places = len(language_model.model.layers[::interval])
        if len(blocks) != places:
            raise ValueError(f"interval={interval} has places for {places} blocks, not {len(blocks)}.")
        self._seen = None
        for layer, block in zip(language_model.model.layers[::interval], blocks, strict=True):
            layer.register_forward_pre_hook(self.before(block), with_kwargs=True)

    def before(self, block):
        def change(layer, args, kwargs):
            if self._seen is None:
                return None
            if args:
                return (block(args[0], *self._seen), *args[1:]), kwargs
            return args, {**kwargs, "hidden_states": block(kwargs["hidden_states"], *self._seen)}

        return change

    def forward(self, visual, media_mask, *args, **kwargs):
        self._seen = (visual, media_mask)
        return self.language_model(*args, **kwargs)
