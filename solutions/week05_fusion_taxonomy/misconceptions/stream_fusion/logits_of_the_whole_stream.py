"""Misconception: The model answers at every token of the stream.

Tell: You return logits at visual tokens, too. What follows a visual token is asked by nobody; who counts
words then counts the wrong rows.

Caught by: there_are_logits_at_each_word, the_picture_stands_before_the_words,
in_front_the_picture_is_read_first, padding_is_not_there, a_hybrid_has_both_doors,
the_mask_arrives_at_the_blocks, what_is_given_is_used, gradients_pass_through_the_frozen_model
"""

import torch
from torch import nn


class StreamFusion(nn.Module):
    def __init__(self, language_model, enter=None, blocks=None, interval=1):
        super().__init__()
        if enter is None and blocks is None:
            raise ValueError("neither enter nor blocks: give at least one way in.")
        if blocks is not None:
            n_layers = len(language_model.model.layers)
            if interval < 1:
                raise ValueError(f"interval={interval}; give 1 or more.")
            places = len(range(0, n_layers, interval))
            if len(blocks) != places:
                raise ValueError(f"{len(blocks)} blocks for {places} places.")
        self.language_model, self.enter, self.blocks, self.interval = language_model, enter, blocks, interval

    def forward(self, visual, ids, keep, visual_mask=None, sees=None, positions=None):
        words = self.language_model.model.embed_tokens(ids)
        front = words[:, :0] if self.enter is None else self.enter(visual)
        p = front.shape[1]
        real = torch.cat([keep.new_ones(front.shape[:2]), keep], dim=1)
        if positions is None:
            positions = (real.long().cumsum(dim=1) - 1).clamp(min=0)

        def before_layer(i, hidden):
            if self.blocks is None or i % self.interval:
                return hidden
            text = self.blocks[i // self.interval](hidden[:, p:], visual, visual_mask)
            return torch.cat([hidden[:, :p], text], dim=1)

        stream = torch.cat([front, words], dim=1)
        logits = self.language_model(stream, real if sees is None else sees, positions, before_layer)
        return logits
