"""Read a row in pieces: one way to call a language model with gated blocks in it, whichever the model is.

Two families of language models stand behind the same door:

    the course's own    reads embeddings, positions, and `keep` over all tokens so far; makes a `new_cache()`
    of transformers     reads ids, counts positions by itself, and returns its cache as `past_key_values`

    logits, cache = reader(ids, visual, media_mask, None)      the first tokens of a row
    logits, cache = reader(more, visual, mask_of_more, cache)  the next ones, as if all had been read at once

Axes in this file:
    b  rows of the batch      t  tokens of this call      s  visual tokens of a row      w  words
"""

from typing import Any

import torch
from einops import repeat
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from course_lib.errors import CourseError
from course_lib.language import LanguageModel


class Reader(nn.Module):
    """A language model with gated blocks, called with what is new and a cache of what it has read.

    Args:
        flamingo: called as flamingo(visual, media_mask, ...), it hands what follows to its part
            `language_model` and returns what that returns.

    Shapes:
        ids         int[b t]             the tokens that the cache does not hold; no padding
        visual      float[b s d_visual]  the same at every call
        media_mask  bool[b t s]          True = keep; a row for each of these tokens
        cache       from the call before; None is the empty one. A cache belongs to one row and is changed in
                    place: to write twice from one prompt, read the prompt twice.
        returns     float[b t w], the logits at each of these tokens, and the cache

    Raises:
        CourseError: there is no language model in it, or one of neither family.
    """

    def __init__(self, flamingo: nn.Module) -> None:
        super().__init__()
        if not isinstance(getattr(flamingo, "language_model", None), nn.Module):
            raise CourseError(
                f"a {type(flamingo).__name__} has no part called language_model; a Reader needs one, "
                "and the blocks around it."
            )
        self.flamingo = flamingo

    @torch.no_grad()
    def forward(
        self,
        ids: Int[Tensor, "b t"],
        visual: Float[Tensor, "b s d_visual"],
        media_mask: Bool[Tensor, "b t s"],
        cache: Any = None,
    ) -> tuple[Float[Tensor, "b t w"], Any]:
        language_model = self.flamingo.language_model
        if isinstance(language_model, LanguageModel):
            cache = language_model.new_cache() if cache is None else cache
            past, (rows, new) = len(cache[0]), ids.shape
            keep = torch.ones(rows, past + new, dtype=torch.bool, device=ids.device)
            positions = repeat(torch.arange(past, past + new, device=ids.device), "t -> b t", b=rows)
            embeds = language_model.model.embed_tokens(ids)
            return self.flamingo(visual, media_mask, embeds, keep, positions, cache=cache), cache
        out = self.flamingo(visual, media_mask, input_ids=ids, past_key_values=cache, use_cache=True)
        known = getattr(out, "past_key_values", None)
        if known is None:
            raise CourseError(
                f"a {type(language_model).__name__} returned no past_key_values; a Reader takes the course's "
                "language model, or a causal one of transformers."
            )
        return out.logits, known
