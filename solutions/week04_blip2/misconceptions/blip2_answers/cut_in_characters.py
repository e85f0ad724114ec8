"""Misconception: A prompt of n tokens has n characters.

Tell: You cut the decoded text after as many characters as the prompt has tokens. A token is rarely a
character, and a placeholder is none at all. Cut the ids, then decode.
Caught by: the_same_alone_and_in_company, each_picture_gets_its_caption,
a_question_is_asked_as_in_the_paper, company_changes_no_answer, only_the_new_text_comes_back,
greedy_whatever_the_checkpoint_says, max_new_tokens_counts_new_ones, pixels_have_the_models_precision
"""


def blip2_answers(model, processor, pictures, questions=None, max_new_tokens=20):
    if questions is not None and len(questions) != len(pictures):
        raise ValueError(f"{len(questions)} questions for {len(pictures)} pictures.")
    prompts = [""] * len(pictures) if questions is None else [f"Question: {q} Answer:" for q in questions]
    inputs = processor(
        images=pictures, text=prompts, return_tensors="pt", padding=True, padding_side="left"
    ).to(model.device, model.dtype)
    ids = model.generate(**inputs, max_new_tokens=max_new_tokens, do_sample=False)
    n = inputs["input_ids"].shape[1]
    return [text[n:].strip() for text in processor.batch_decode(ids, skip_special_tokens=True)]
