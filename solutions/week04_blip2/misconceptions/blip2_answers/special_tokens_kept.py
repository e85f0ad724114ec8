"""Misconception: Decoding gives plain text.

Tell: Your answers hold special tokens: a row that ends before its neighbours is filled with padding.
Tell batch_decode to skip them.
Caught by: only_new_text_for_each_picture, each_picture_gets_its_caption, company_changes_no_answer,
only_the_new_text_comes_back, pixels_have_the_models_precision
"""


def blip2_answers(model, processor, pictures, questions=None, max_new_tokens=20):
    if questions is not None and len(questions) != len(pictures):
        raise ValueError(f"{len(questions)} questions for {len(pictures)} pictures.")
    prompts = [""] * len(pictures) if questions is None else [f"Question: {q} Answer:" for q in questions]
    inputs = processor(
        images=pictures, text=prompts, return_tensors="pt", padding=True, padding_side="left"
    ).to(model.device, model.dtype)
    ids = model.generate(**inputs, max_new_tokens=max_new_tokens, do_sample=False)
    new = ids[:, inputs["input_ids"].shape[1] :]
    return [text.strip() for text in processor.batch_decode(new)]
