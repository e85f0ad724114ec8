"""What an attention layer looked at, read from outside while it runs.

A layer of torch's `nn.MultiheadAttention` does not hand out its weights unless it is asked to.
`attention_watched` asks for them, whatever the code around the layer does with its answer, and leaves the
layer as it was.

Axes in this file:
    b  pictures in the batch      h  heads      q  who looks      v  what is looked at
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn


@contextmanager
def attention_watched(model: nn.Module) -> Iterator[dict[str, Float[Tensor, "b h q v"]]]:
    """Inside the `with`, every `nn.MultiheadAttention` of `model` leaves its weights in the dict, by name.

        with attention_watched(qformer) as seen:
            qformer(visual)
        seen["cross.0"]     # b h q v, every row sums to 1

    A layer that runs twice leaves the weights of its last run.
    """
    seen: dict[str, Tensor] = {}
    handles = []

    def ask(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        # `need_weights` is torch's fifth positional argument; the four before it stay where they are.
        return args[:4], {
            **dict(
                zip(
                    ("need_weights", "attn_mask", "average_attn_weights", "is_causal"), args[4:], strict=False
                )
            ),
            **kwargs,
            "need_weights": True,
            "average_attn_weights": False,
        }

    def keep_as(name: str) -> Any:
        def keep(module: nn.Module, args: Any, output: tuple[Tensor, Tensor]) -> None:
            seen[name] = output[1].detach()

        return keep

    for name, module in model.named_modules():
        if isinstance(module, nn.MultiheadAttention):
            handles.append(module.register_forward_pre_hook(ask, with_kwargs=True))
            handles.append(module.register_forward_hook(keep_as(name)))
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()
