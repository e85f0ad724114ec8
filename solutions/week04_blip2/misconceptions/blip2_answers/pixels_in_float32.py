"""Misconception: The processor returns what the model takes.

Tell: Your pixels are float32, as the processor returns them. A model in half precision does not take
them. .to(device, dtype) on what the processor returns casts the pixels and leaves whole numbers alone.
Caught by: pixels_have_the_models_precision
"""


def blip2_answers(model, processor, pictures, questions=None, max_new_tokens=20):
    if questions is not None and len(questions) != len(pictures):
        raise ValueError(f"{len(questions)} questions for {len(pictures)} pictures.")
    prompts = [""] * len(pictures) if questions is None else [f"Question: {q} Answer:" for q in questions]
    inputs = processor(
        images=pictures, text=prompts, return_tensors="pt", padding=True, padding_side="left"
    ).to(model.device)
    ids = model.generate(**inputs, max_new_tokens=max_new_tokens, do_sample=False)
    new = ids[:, inputs["input_ids"].shape[1] :]
    return [text.strip() for text in processor.batch_decode(new, skip_special_tokens=True)]
