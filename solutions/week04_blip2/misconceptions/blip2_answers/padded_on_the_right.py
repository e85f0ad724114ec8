"""Misconception: padding=True is all there is to say about padding.

Tell: Your rows are padded on the right, as the tokenizer does unless told otherwise. New words follow
the last place of a row, and in a short row padding stands there. Ask for padding_side="left".
Caught by: the_same_alone_and_in_company, company_changes_no_answer
"""


def blip2_answers(model, processor, pictures, questions=None, max_new_tokens=20):
    if questions is not None and len(questions) != len(pictures):
        raise ValueError(f"{len(questions)} questions for {len(pictures)} pictures.")
    prompts = [""] * len(pictures) if questions is None else [f"Question: {q} Answer:" for q in questions]
    inputs = processor(images=pictures, text=prompts, return_tensors="pt", padding=True).to(
        model.device, model.dtype
    )
    ids = model.generate(**inputs, max_new_tokens=max_new_tokens, do_sample=False)
    new = ids[:, inputs["input_ids"].shape[1] :]
    return [text.strip() for text in processor.batch_decode(new, skip_special_tokens=True)]
