"""Right: no batch, no padding; new ids counted from the end of the prompt."""


def blip2_answers(model, processor, pictures, questions=None, max_new_tokens=20):
    if questions is not None and len(pictures) != len(questions):
        raise ValueError(f"got {len(pictures)} pictures but {len(questions)} questions")
    answers = []
    for n, picture in enumerate(pictures):
        prompt = "" if questions is None else "Question: " + questions[n] + " Answer:"
        inputs = processor(picture, prompt, return_tensors="pt")
        pixels = inputs["pixel_values"].to(model.device).to(model.dtype)
        ids = inputs["input_ids"].to(model.device)
        out = model.generate(
            pixel_values=pixels, input_ids=ids, max_new_tokens=max_new_tokens, do_sample=False, num_beams=1
        )
        answers.append(processor.decode(out[0][len(ids[0]) :], skip_special_tokens=True).strip())
    return answers
