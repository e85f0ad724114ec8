"""Flamingo: gated blocks before every n-th layer of a frozen language model, put in without editing it.

A block is hung before its layer as a forward pre-hook, so any causal language model whose layers are in
`model.layers` will do: the course's own, and every transformers model of the Llama family. The hooks are
there for the time of one call. The model's class, its parameters' names and its checkpoints stay what they
are; called on its own, it never meets a picture, and a copy of the whole is a whole of its own.

Axes in this file:
    b  rows of the batch      t  text tokens      n  pictures      v  visual tokens of one picture
    s  visual tokens of a row, n pictures of v    w  words of the vocabulary

Source: Alayrac et al. 2022, Flamingo, arXiv:2204.14198, section 2.2 (blocks), 3.2 and B.1.1 (what trains).
"""

from functools import partial
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from course_lib.errors import CourseError, ShapeError
from course_lib.media import media_index, media_mask


class Flamingo(nn.Module):
    """A language model with block j before layer j * interval.

    Args:
        language_model: with its layers in `language_model.model.layers`. It is not edited.
        blocks: called as block(text, visual, media_mask), one for each layer whose number divides.
        interval: 1 puts a block before every layer, 2 before layers 0, 2, 4 and so on.

    Shapes:
        visual      float[b s d_visual]
        media_mask  bool[b t s]   True = keep
        whatever follows goes to the language model, and what it returns comes back

    Raises:
        ShapeError: another number of blocks than there are places for.
    """

    def __init__(self, language_model: nn.Module, blocks: nn.ModuleList, interval: int = 1) -> None:
        super().__init__()
        layers = _layers(language_model)
        if interval < 1:
            raise ShapeError(f"interval={interval} is no interval; 1 puts a block before every layer.")
        places = range(0, len(layers), interval)
        if len(blocks) != len(places):
            raise ShapeError(
                f"{len(layers)} layers with interval={interval} have places for {len(places)} blocks, and "
                f"{len(blocks)} were given; give {len(places)}."
            )
        self.language_model = language_model
        self.blocks = blocks
        self.interval = interval

    def forward(
        self,
        visual: Float[Tensor, "b s d_visual"],
        media_mask: Bool[Tensor, "b t s"],
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        places = _layers(self.language_model)[:: self.interval]
        hooks = [
            layer.register_forward_pre_hook(_reads_first(block, visual, media_mask), with_kwargs=True)
            for layer, block in zip(places, self.blocks, strict=True)
        ]
        try:
            return self.language_model(*args, **kwargs)
        finally:  # after an error too: whoever calls the language model next gets the language model itself
            for hook in hooks:
                hook.remove()


def _reads_first(block: nn.Module, visual: Tensor, media_mask: Tensor) -> Any:
    def change(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if args:
            return (block(args[0], visual, media_mask), *args[1:]), kwargs
        return args, {**kwargs, "hidden_states": block(kwargs["hidden_states"], visual, media_mask)}

    return change


def _layers(language_model: nn.Module) -> nn.ModuleList:
    layers = getattr(getattr(language_model, "model", None), "layers", None)
    if not isinstance(layers, nn.ModuleList) or not len(layers):
        raise CourseError(
            f"a {type(language_model).__name__} has no layers in `model.layers`; Flamingo goes into "
            "the course's language model, or a transformers model of the Llama family."
        )
    return layers


def parameter_groups(
    model: nn.Module, new_ids: Int[Tensor, " k"], weight_decay: float
) -> list[dict[str, Any]]:
    """Freeze the language model, and return what an optimiser may change, in two groups.

    Of the language model train the rows of the embedding that belong to new tokens, such as the tags: its
    other rows get no gradient. Everything else of it keeps its numbers, and stays in eval mode through
    `model.train()`. Call it on the object that will be trained: the hook that holds the old rows is not in a
    deep copy.

    Args:
        model: with the part `language_model` (its embedding in `model.embed_tokens`) and others, which
            train; changed in place.
        new_ids: ids of the tokens that the language model had not met; it may be empty.
        weight_decay: of the matrices of the blocks.

    Returns:
        Groups for torch's optimisers: {"params", "weight_decay"} twice. First what decays, the matrices of
        every part but `resampler`; then what does not: the resampler, vectors and gates, and the embedding,
        whose frozen rows would otherwise shrink at every step without any gradient.

    Raises:
        ShapeError: an id beyond the embedding.
    """
    language_model = model.language_model
    assert isinstance(language_model, nn.Module)
    embedding = language_model.model.embed_tokens.weight  # type: ignore[union-attr]
    assert isinstance(embedding, nn.Parameter)
    if new_ids.numel() and not 0 <= int(new_ids.min()) <= int(new_ids.max()) < len(embedding):
        raise ShapeError(
            f"new_ids run from {int(new_ids.min())} to {int(new_ids.max())}, and the embedding has rows 0 to "
            f"{len(embedding) - 1}; enlarge the embedding first."
        )
    model.requires_grad_(True)
    language_model.requires_grad_(False)
    if new_ids.numel():
        embedding.requires_grad_(True)
        is_new = torch.zeros(len(embedding), 1, device=embedding.device)
        is_new[new_ids] = 1.0
        if (earlier := getattr(embedding, "new_rows", None)) is not None:
            earlier.remove()  # of an earlier call, whose rows these need not be
        hook = embedding.register_hook(lambda gradient: gradient * is_new)  # type: ignore[no-untyped-call]
        embedding.new_rows = hook  # type: ignore[attr-defined]
    model.train = partial(_train_branch, model)  # type: ignore[method-assign]  # a copy's is its own
    model.train()
    decayed = [
        parameter
        for name, parameter in model.named_parameters()
        if parameter.requires_grad and _decays(name, parameter)
    ]
    ids = {id(parameter) for parameter in decayed}
    others = [p for p in model.parameters() if p.requires_grad and id(p) not in ids]
    return [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]


def _train_branch(model: nn.Module, mode: bool = True) -> nn.Module:
    type(model).train(model, mode)
    assert isinstance(model.language_model, nn.Module)
    model.language_model.eval()
    return model


def _decays(name: str, parameter: nn.Parameter) -> bool:
    is_matrix = parameter.ndim == 2 and min(parameter.shape) > 1
    return is_matrix and not name.startswith(("language_model.", "resampler."))


@torch.no_grad()
def generate(
    model: nn.Module,
    ids: Int[Tensor, " t"],
    visual: Float[Tensor, "n v d_visual"],
    image_id: int,
    end_id: int,
    n_new: int,
) -> list[int]:
    """Write up to `n_new` tokens, always the likeliest, and read each token once.

    The first call reads the whole prompt. Each later one reads the newest token alone, and the cache
    knows the rest; but which picture that token may look at is not in the cache. It has to be said again at
    each call.

    Args:
        model: called as model(ids, visual, media_mask, cache), it returns (logits, cache); None is the empty
            cache. Shapes: int[1 t], float[1 s d_visual], bool[1 t s] (True = keep) -> float[1 t w].
        ids: the prompt, tags among it.
        visual: the visual tokens of each of its pictures.
        image_id: the tag's id. It is never written: there is no picture for it.
        end_id: writing stops behind it, and it is not returned.
        n_new: the most to write.

    Returns:
        The ids that were written.

    Raises:
        ShapeError: an empty prompt, or another number of tags than of pictures.
    """
    if not len(ids):
        raise ShapeError("the prompt has 0 tokens; give at least one, a tag for instance.")
    tags = int((ids == image_id).sum())
    if tags != len(visual):
        raise ShapeError(
            f"the prompt has {tags} tags and there are {len(visual)} pictures; give one for each."
        )
    every = torch.ones(1, *visual.shape[:2], dtype=torch.bool, device=visual.device)
    mask = media_mask(media_index(ids[None], image_id), every)
    read, written, cache = ids[None], list[int](), None
    row = rearrange(visual, "n v d -> 1 (n v) d")
    while len(written) < n_new:
        logits, cache = model(read, row, mask, cache)
        last = logits[0, -1].clone()
        last[image_id] = -torch.inf
        best = int(last.argmax())
        if best == end_id:
            break
        written.append(best)
        read, mask = read.new_tensor([[best]]), mask[:, -1:]
    return written
