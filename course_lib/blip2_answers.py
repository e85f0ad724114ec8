"""Ask an opened BLIP-2: captions, and answers to questions.

Axes in this file:
    b  pictures      y x c  rows, columns, colours of a picture

Source: Li et al. 2023, BLIP-2, arXiv:2301.12597, section 4 (the prompt for questions); transformers 5.23.
"""

from collections.abc import Sequence
from typing import Any

from course_lib.errors import ShapeError


def blip2_answers(
    model: Any,
    processor: Any,
    pictures: Sequence[Any],
    questions: Sequence[str] | None = None,
    max_new_tokens: int = 20,
) -> list[str]:
    """Greedy answers, one for each picture: the new text alone.

    Args:
        model: a `Blip2ForConditionalGeneration` with OPT, whose `generate` returns the prompt, too. (One with
            T5 returns new tokens only: not for this function.)
        processor: its `Blip2Processor`.
        pictures: uint8[y x 3] each.
        questions: one for each picture; None asks for captions.
        max_new_tokens: tokens that may be written, without the prompt's.

    Raises:
        ShapeError: another number of questions than of pictures.
    """
    if questions is not None and len(questions) != len(pictures):
        raise ShapeError(
            f"{len(questions)} questions for {len(pictures)} pictures; give one question for each picture."
        )
    prompts = [""] * len(pictures) if questions is None else [f"Question: {q} Answer:" for q in questions]
    # New words follow the last place of a row: padding there would stand between prompt and answer.
    inputs = processor(
        images=list(pictures), text=prompts, return_tensors="pt", padding=True, padding_side="left"
    ).to(model.device, model.dtype)
    ids = model.generate(**inputs, max_new_tokens=max_new_tokens, do_sample=False)
    new = ids[:, inputs["input_ids"].shape[1] :]
    return [text.strip() for text in processor.batch_decode(new, skip_special_tokens=True)]
