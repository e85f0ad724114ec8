"""Misconception: max_length is the number of new tokens.

Tell: You hand max_new_tokens on as max_length, which counts the prompt, placeholders included. A long
prompt then leaves room for nothing.
Caught by: only_new_text_for_each_picture, the_same_alone_and_in_company,
a_question_is_asked_as_in_the_paper, company_changes_no_answer, only_the_new_text_comes_back,
greedy_whatever_the_checkpoint_says, max_new_tokens_counts_new_ones,
another_number_of_questions_is_refused
"""


def blip2_answers(model, processor, pictures, questions=None, max_new_tokens=20):
    if questions is not None and len(questions) != len(pictures):
        raise ValueError(f"{len(questions)} questions for {len(pictures)} pictures.")
    prompts = [""] * len(pictures) if questions is None else [f"Question: {q} Answer:" for q in questions]
    inputs = processor(
        images=pictures, text=prompts, return_tensors="pt", padding=True, padding_side="left"
    ).to(model.device, model.dtype)
    ids = model.generate(**inputs, max_length=max_new_tokens, do_sample=False)
    new = ids[:, inputs["input_ids"].shape[1] :]
    return [text.strip() for text in processor.batch_decode(new, skip_special_tokens=True)]
