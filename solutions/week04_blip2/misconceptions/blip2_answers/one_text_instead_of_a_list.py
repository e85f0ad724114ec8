"""Misconception: One answer is a text, not a list.

Tell: For a single picture you return a text, and for several a list. Whoever takes the first of them
gets a letter. Return a list always.
Caught by: the_same_alone_and_in_company, each_picture_gets_its_caption,
a_question_is_asked_as_in_the_paper
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
    answers = [text.strip() for text in processor.batch_decode(new, skip_special_tokens=True)]
    return answers[0] if len(answers) == 1 else answers
