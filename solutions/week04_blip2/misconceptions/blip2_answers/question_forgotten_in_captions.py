"""Misconception: Without questions the question is None.

Tell: You asked for captions with "Question: None Answer:". Without questions the text is empty, and what
the model writes is a caption.
Caught by: each_picture_gets_its_caption, max_new_tokens_counts_new_ones,
pixels_have_the_models_precision
"""


def blip2_answers(model, processor, pictures, questions=None, max_new_tokens=20):
    if questions is not None and len(questions) != len(pictures):
        raise ValueError(f"{len(questions)} questions for {len(pictures)} pictures.")
    asked = [None] * len(pictures) if questions is None else questions
    prompts = [f"Question: {q} Answer:" for q in asked]
    inputs = processor(
        images=pictures, text=prompts, return_tensors="pt", padding=True, padding_side="left"
    ).to(model.device, model.dtype)
    ids = model.generate(**inputs, max_new_tokens=max_new_tokens, do_sample=False)
    new = ids[:, inputs["input_ids"].shape[1] :]
    return [text.strip() for text in processor.batch_decode(new, skip_special_tokens=True)]
