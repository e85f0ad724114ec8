"""Misconception: Where the numbers differ, the shorter list decides.

Tell: You take whatever number of questions comes. Too few, and transformers forgets the last pictures in
silence; say what is wrong, with both numbers.
Caught by: as_many_questions_as_pictures, another_number_of_questions_is_refused
"""


def blip2_answers(model, processor, pictures, questions=None, max_new_tokens=20):
    prompts = [""] * len(pictures) if questions is None else [f"Question: {q} Answer:" for q in questions]
    inputs = processor(
        images=pictures, text=prompts, return_tensors="pt", padding=True, padding_side="left"
    ).to(model.device, model.dtype)
    ids = model.generate(**inputs, max_new_tokens=max_new_tokens, do_sample=False)
    new = ids[:, inputs["input_ids"].shape[1] :]
    return [text.strip() for text in processor.batch_decode(new, skip_special_tokens=True)]
