"""Right: the padding side is set on the tokenizer, and captions go without any text."""


def _decoded(processor, ids):
    return [text.strip() for text in processor.tokenizer.batch_decode(ids, skip_special_tokens=True)]


def blip2_answers(model, processor, pictures, questions=None, max_new_tokens=20):
    how = {"max_new_tokens": max_new_tokens, "do_sample": False}
    if questions is None:
        pixels = processor(images=pictures, return_tensors="pt")["pixel_values"]
        # The prompt that generate makes by itself holds special tokens only.
        return _decoded(processor, model.generate(pixel_values=pixels.to(model.device, model.dtype), **how))
    if len(questions) != len(pictures):
        raise ValueError(f"pictures: {len(pictures)}, questions: {len(questions)}; they go in pairs.")
    processor.tokenizer.padding_side = "left"
    prompts = [f"Question: {question} Answer:" for question in questions]
    inputs = processor(images=pictures, text=prompts, padding="longest", return_tensors="pt")
    batch = {
        name: value.to(model.device, model.dtype if value.is_floating_point() else value.dtype)
        for name, value in inputs.items()
    }
    return _decoded(processor, model.generate(**batch, **how)[:, batch["input_ids"].size(1) :])
