"""Misconception: A low temperature is greedy enough.

Tell: You draw words at random, at a low temperature. That is often the likeliest word, and often enough
it is not. Greedy is do_sample=False.
Caught by: each_picture_gets_its_caption, a_question_is_asked_as_in_the_paper, company_changes_no_answer,
greedy_whatever_the_checkpoint_says, max_new_tokens_counts_new_ones, pixels_have_the_models_precision
"""


def blip2_answers(model, processor, pictures, questions=None, max_new_tokens=20):
    if questions is not None and len(questions) != len(pictures):
        raise ValueError(f"{len(questions)} questions for {len(pictures)} pictures.")
    prompts = [""] * len(pictures) if questions is None else [f"Question: {q} Answer:" for q in questions]
    inputs = processor(
        images=pictures, text=prompts, return_tensors="pt", padding=True, padding_side="left"
    ).to(model.device, model.dtype)
    ids = model.generate(**inputs, max_new_tokens=max_new_tokens, do_sample=True, temperature=0.7)
    new = ids[:, inputs["input_ids"].shape[1] :]
    return [text.strip() for text in processor.batch_decode(new, skip_special_tokens=True)]
