"""Misconception: There is white space in front only.

Tell: You take off the space in front and leave the line break behind it. OPT's answers of BLIP-2 end in
one: it is the sign to stop.
Caught by: only_new_text_for_each_picture, each_picture_gets_its_caption,
a_question_is_asked_as_in_the_paper, company_changes_no_answer, only_the_new_text_comes_back,
greedy_whatever_the_checkpoint_says, pixels_have_the_models_precision
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
    return [text.lstrip(" ") for text in processor.batch_decode(new, skip_special_tokens=True)]
