"""A processor and a model that are called like transformers' BLIP-2, and have learned nothing.

The model's "answer" is a number game: which letter comes next hangs on all that it is shown, on its order,
and on what stands in the last place. So an answer is right exactly if the right things came in. What is
copied from the real ones is how they are called, and how they go wrong:

    generate     returns the prompt's ids, and the new ones behind them; rows that end early are padded
                 a new text begins with a space and ends in a line break
                 pixels have to come in the weights' own precision
                 more placeholders than pictures are an error; pictures without a placeholder are forgotten
    processor    puts the placeholders in front, then [BOS] and the text; pads on the right unless told not to

Axes in this file:
    b  rows, pictures      t  tokens      y x c  rows, columns, colours of a picture

Source: Blip2Processor and Blip2ForConditionalGeneration of transformers 5.23, with OPT.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

IMAGE, PAD, BOS, UNKNOWN = range(4)
SPECIAL = ("<image>", "<pad>", "</s>", "<unk>")
LETTERS = [chr(n) for n in range(32, 127)] + ["\n"]
SPACE, END = 4, 4 + len(LETTERS) - 1  # ids of " " and of the line break, which ends a text
FIRST_LETTER = 4 + LETTERS.index("a")
PRIME = 1_000_003
DEFAULT_LENGTH = 20


class TinyBatch(dict[str, Any]):
    """What a processor returns: a dict whose tensors travel together."""

    def __getattr__(self, name: str) -> Any:
        if name not in self:
            raise AttributeError(name)
        return self[name]

    def to(self, *where: Any, **named: Any) -> "TinyBatch":
        """Device and precision; whole numbers keep theirs."""
        where = (*where, *named.values())
        device = [one for one in where if not isinstance(one, torch.dtype)]
        for name, tensor in self.items():
            kind = [one for one in where if isinstance(one, torch.dtype) and tensor.is_floating_point()]
            for one in device + kind:
                self[name] = self[name].to(one)
        return self


class TinyTokenizer:
    """One token for each character, and [BOS] in front."""

    pad_token_id, bos_token_id, eos_token_id = PAD, BOS, END

    def __init__(self) -> None:
        self.padding_side = "right"

    def __call__(
        self,
        text: str | Sequence[str],
        padding: bool | str = False,
        padding_side: str | None = None,
        return_tensors: str | None = None,
        add_special_tokens: bool = True,
        **ignored: Any,
    ) -> TinyBatch:
        texts = [text] if isinstance(text, str) else list(text)
        start = [BOS] if add_special_tokens else []
        rows = [start + [4 + LETTERS.index(c) if c in LETTERS else UNKNOWN for c in one] for one in texts]
        keep = [[1] * len(row) for row in rows]
        if padding:
            longest = max(map(len, rows))
            left = (padding_side or self.padding_side) == "left"
            for row, real in zip(rows, keep, strict=True):
                n = longest - len(row)
                row[:0] = [PAD] * n if left else []
                real[:0] = [0] * n if left else []
                row += [] if left else [PAD] * n
                real += [] if left else [0] * n
        if isinstance(text, str) and return_tensors is None:
            rows, keep = rows[0], keep[0]  # type: ignore[assignment]
        return _tensors({"input_ids": rows, "attention_mask": keep}, return_tensors)

    def decode(self, ids: Any, skip_special_tokens: bool = False, **ignored: Any) -> str:
        numbers = [int(i) for i in ids]
        return "".join(
            LETTERS[i - 4] if i >= 4 else "" if skip_special_tokens else SPECIAL[i] for i in numbers
        )

    def batch_decode(self, rows: Any, skip_special_tokens: bool = False, **ignored: Any) -> list[str]:
        return [self.decode(ids, skip_special_tokens) for ids in rows]


class TinyProcessor(nn.Module):
    """Pictures and texts in, tensors out. Holds no parameter.

    Args:
        n_queries: placeholders in front of each text, one for every visual word of a picture.
    """

    def __init__(self, n_queries: int) -> None:
        super().__init__()
        self.num_query_tokens = n_queries
        self.tokenizer = TinyTokenizer()
        self.decode = self.tokenizer.decode
        self.batch_decode = self.tokenizer.batch_decode

    def forward(
        self,
        images: Any = None,
        text: str | Sequence[str] | None = None,
        return_tensors: str | None = None,
        **how: Any,
    ) -> TinyBatch:
        if images is None and text is None:
            raise ValueError("You have to specify either images or text.")
        found: dict[str, Any] = {}
        if text is not None:
            found = dict(self.tokenizer([text] if isinstance(text, str) else text, **how))
            if images is not None:
                n = self.num_query_tokens
                found["input_ids"] = [[IMAGE] * n + row for row in found["input_ids"]]
                found["attention_mask"] = [[1] * n + row for row in found["attention_mask"]]
        batch = _tensors(found, return_tensors)
        if images is not None:
            many = list(images) if isinstance(images, (list, tuple)) or images.ndim == 4 else [images]
            pixels = torch.stack([torch.as_tensor(one) for one in many]).permute(0, 3, 1, 2).float()
            batch["pixel_values"] = (pixels / 255 - 0.5) / 0.25
        return batch


class TinyCaptioner(nn.Module):
    """Called like `Blip2ForConditionalGeneration`.

    Args:
        n_queries: placeholders that one picture fills.
        samples: 1: it draws its words at random unless it is told not to, as some checkpoints do.
        half: 1: its weights are bfloat16.
    """

    def __init__(self, n_queries: int, samples: int = 0, half: int = 0) -> None:
        super().__init__()
        self.n_queries, self.samples = n_queries, bool(samples)
        self.weight = nn.Parameter(torch.zeros(1, dtype=torch.bfloat16 if half else torch.float32))

    @property
    def device(self) -> torch.device:
        return self.weight.device

    @property
    def dtype(self) -> torch.dtype:
        return self.weight.dtype

    @torch.no_grad()
    def generate(
        self,
        pixel_values: Tensor,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        max_new_tokens: int | None = None,
        max_length: int = DEFAULT_LENGTH,
        do_sample: bool | None = None,
        temperature: float | None = None,
        **ignored: Any,
    ) -> Tensor:
        if pixel_values.dtype != self.dtype:
            raise RuntimeError(
                f"Input type ({pixel_values.dtype}) and weight type ({self.dtype}) should be the same"
            )
        sampling = self.samples if do_sample is None else do_sample
        if sampling and temperature is not None and temperature <= 0:
            raise ValueError(f"`temperature` (={temperature}) has to be a strictly positive float")
        if input_ids is None:
            input_ids = torch.tensor([[IMAGE] * self.n_queries + [BOS]] * len(pixel_values))
        if attention_mask is None:
            attention_mask = torch.ones_like(input_ids)
        at_most = max_length - input_ids.shape[1] if max_new_tokens is None else max_new_tokens
        if at_most < 1:
            raise ValueError(
                f"Input length of input_ids is {input_ids.shape[1]}, but `max_length` is {max_length}."
            )
        wanted = int((input_ids == IMAGE).sum())
        if wanted > self.n_queries * len(pixel_values):
            raise RuntimeError("Number of elements of source < number of ones in mask")
        codes = _codes(pixel_values).repeat_interleave(self.n_queries)[:wanted]
        shown = input_ids.masked_scatter(input_ids == IMAGE, codes)
        spread = min(1.0, max(0.05, 1.0 if temperature is None else temperature)) if sampling else 0.0
        new = [
            _write(row.tolist(), real.tolist(), at_most, spread)
            for row, real in zip(shown, attention_mask, strict=True)
        ]
        longest = max(map(len, new))
        padded = torch.tensor([row + [PAD] * (longest - len(row)) for row in new])
        return torch.cat([input_ids, padded], dim=1)


def _codes(pixels: Tensor) -> Tensor:
    """One number for each picture, exact whatever else is in the batch."""
    whole = (pixels.double() * 256).round().long().flatten(1)
    places = torch.arange(whole.shape[1]) % 89 + 1
    return PRIME + (whole * places).sum(dim=1) % PRIME


def _write(row: list[int], real: list[int], at_most: int, spread: float) -> list[int]:
    """A row's new tokens; `spread` is how far from the greedy letter the drawn one may be: 1 is anywhere."""
    state = 1
    for token, keep in zip(row, real, strict=True):
        if keep:
            state = (31 * state + token) % PRIME
    state = (131 * state + row[-1]) % PRIME  # what is in the last place counts, real or not
    new = [SPACE]
    for _ in range(4 + state % 5):
        state = (7919 * state + 11) % PRIME
        off = int(torch.randint(round(26 * spread), (1,))) if spread else 0
        new.append(FIRST_LETTER + (state + off) % 26)
    return [*new, END][:at_most]


def _tensors(found: dict[str, Any], kind: str | None) -> TinyBatch:
    if kind is None:
        return TinyBatch(found)
    if any(len({len(row) for row in rows}) > 1 for rows in found.values()):
        raise ValueError("Unable to create a tensor of rows of different lengths; activate padding.")
    return TinyBatch({name: torch.tensor(rows) for name, rows in found.items()})
