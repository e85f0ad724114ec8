"""Misconception: generate returns the answer alone.

Tell: Your answers begin with the prompt. With OPT, generate returns the prompt's ids and the new ones
behind them; leaving out special tokens removes the placeholders, not the question. (Older versions
returned new ones only.)
Caught by: only_new_text_for_each_picture, a_question_is_asked_as_in_the_paper,
company_changes_no_answer, only_the_new_text_comes_back, greedy_whatever_the_checkpoint_says,
max_new_tokens_counts_new_ones
"""


def blip2_answers(model, processor, pictures, questions=None, max_new_tokens=20):
    if questions is not None and len(questions) != len(pictures):
        raise ValueError(f"{len(questions)} questions for {len(pictures)} pictures.")
    prompts = [""] * len(pictures) if questions is None else [f"Question: {q} Answer:" for q in questions]
    inputs = processor(
        images=pictures, text=prompts, return_tensors="pt", padding=True, padding_side="left"
    ).to(model.device, model.dtype)
    ids = model.generate(**inputs, max_new_tokens=max_new_tokens, do_sample=False)
    new = ids
    return [text.strip() for text in processor.batch_decode(new, skip_special_tokens=True)]
