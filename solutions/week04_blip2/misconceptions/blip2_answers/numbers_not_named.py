"""Misconception: "numbers differ" is message enough.

Tell: You refuse, and do not say how many there are of which. Who reads the message wants to know what
was given.
Caught by: as_many_questions_as_pictures, another_number_of_questions_is_refused
"""


def blip2_answers(model, processor, pictures, questions=None, max_new_tokens=20):
    if questions is not None and len(questions) != len(pictures):
        raise ValueError("the numbers of questions and pictures differ.")
    prompts = [""] * len(pictures) if questions is None else [f"Question: {q} Answer:" for q in questions]
    inputs = processor(
        images=pictures, text=prompts, return_tensors="pt", padding=True, padding_side="left"
    ).to(model.device, model.dtype)
    ids = model.generate(**inputs, max_new_tokens=max_new_tokens, do_sample=False)
    new = ids[:, inputs["input_ids"].shape[1] :]
    return [text.strip() for text in processor.batch_decode(new, skip_special_tokens=True)]
