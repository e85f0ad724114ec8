"""Right: everything is decoded, and the prompt is taken off as the text that it is."""


def blip2_answers(model, processor, pictures, questions=None, max_new_tokens=20):
    if questions is None:
        prompts = ["" for _ in pictures]
    elif len(questions) == len(pictures):
        prompts = [f"Question: {question} Answer:" for question in questions]
    else:
        raise ValueError(f"{len(pictures)} pictures need as many questions, not {len(questions)}.")
    inputs = processor(
        images=list(pictures), text=prompts, padding=True, padding_side="left", return_tensors="pt"
    )
    inputs = inputs.to(model.device, dtype=model.dtype)
    ids = model.generate(**inputs, do_sample=False, max_new_tokens=max_new_tokens)
    whole = processor.batch_decode(ids, skip_special_tokens=True)
    return [text.removeprefix(prompt).strip() for text, prompt in zip(whole, prompts, strict=True)]
