"""Misconception: The prompt is as long as its text.

Tell: You cut off as many ids as the text has, and forget the placeholders of the picture before it. So
the end of the prompt is still there. inputs["input_ids"] has them all.
Caught by: only_new_text_for_each_picture, a_question_is_asked_as_in_the_paper,
company_changes_no_answer, greedy_whatever_the_checkpoint_says, max_new_tokens_counts_new_ones
"""


def blip2_answers(model, processor, pictures, questions=None, max_new_tokens=20):
    if questions is not None and len(questions) != len(pictures):
        raise ValueError(f"{len(questions)} questions for {len(pictures)} pictures.")
    prompts = [""] * len(pictures) if questions is None else [f"Question: {q} Answer:" for q in questions]
    inputs = processor(
        images=pictures, text=prompts, return_tensors="pt", padding=True, padding_side="left"
    ).to(model.device, model.dtype)
    ids = model.generate(**inputs, max_new_tokens=max_new_tokens, do_sample=False)
    text_ids = processor.tokenizer(prompts, padding=True, return_tensors="pt")["input_ids"]
    new = ids[:, text_ids.shape[1] :]
    return [text.strip() for text in processor.batch_decode(new, skip_special_tokens=True)]
