"""Captions and answers: the stand-ins go wrong where transformers' own classes do."""

import numpy as np
import pytest
import torch

from course_lib.blip2_answers import blip2_answers
from course_lib.errors import ShapeError
from course_lib.tiny_captioner import BOS, END, IMAGE, PAD, SPACE, TinyCaptioner, TinyProcessor

QUESTIONS = ["what is it ?", "how many rings are left of the square ?", "red ?"]


@pytest.fixture
def pictures():
    return list(np.random.default_rng(0).integers(0, 255, (3, 6, 8, 3)).astype(np.uint8))


@pytest.fixture
def parts():
    return TinyCaptioner(n_queries=5), TinyProcessor(n_queries=5)


def test_answers_are_the_same_alone_and_in_company(parts, pictures):
    together = blip2_answers(*parts, pictures, QUESTIONS)
    pairs = zip(pictures, QUESTIONS, strict=True)
    assert together == [blip2_answers(*parts, [one], [asked])[0] for one, asked in pairs]


def test_answers_depend_on_picture_and_question_and_hold_no_prompt(parts, pictures):
    captions = blip2_answers(*parts, pictures)
    asked = blip2_answers(*parts, pictures, ["red ?"] * 3)
    other = blip2_answers(*parts, pictures, ["blue ?"] * 3)
    assert len({*captions, *asked, *other}) == 9
    assert all(text.isalpha() and text.islower() for text in captions + asked + other)


def test_the_number_of_new_tokens_counts_no_prompt(parts, pictures):
    # The first of them is the space that begins a text.
    assert [len(text) for text in blip2_answers(*parts, pictures, QUESTIONS, max_new_tokens=3)] == [2, 2, 2]


def test_half_precision_is_met(pictures):
    processor = TinyProcessor(n_queries=5)
    assert len(blip2_answers(TinyCaptioner(n_queries=5, half=1), processor, pictures)) == 3


def test_no_word_is_drawn_even_if_the_model_would(pictures):
    parts = TinyCaptioner(n_queries=5, samples=1), TinyProcessor(n_queries=5)
    wanted = blip2_answers(TinyCaptioner(n_queries=5), TinyProcessor(n_queries=5), pictures, QUESTIONS)
    torch.manual_seed(1)
    assert blip2_answers(*parts, pictures, QUESTIONS) == wanted


def test_another_number_of_questions_names_both(parts, pictures):
    with pytest.raises(ShapeError, match="2 questions for 3 pictures"):
        blip2_answers(*parts, pictures, QUESTIONS[:2])


# -- the stand-ins -------------------------------------------------------------------------------------------


def inputs_of(processor, pictures, texts, **how):
    return processor(images=pictures, text=texts, return_tensors="pt", **how)


def test_placeholders_come_first_and_padding_on_the_right_unless_told(pictures):
    processor = TinyProcessor(n_queries=2)
    right = inputs_of(processor, pictures[:2], ["a", "abc"], padding=True)
    left = inputs_of(processor, pictures[:2], ["a", "abc"], padding=True, padding_side="left")
    assert right["input_ids"][0, [0, 1, 2, 4, 5]].tolist() == [IMAGE, IMAGE, BOS, PAD, PAD]
    assert left["input_ids"][0, :5].tolist() == [IMAGE, IMAGE, PAD, PAD, BOS]
    assert left["attention_mask"][0].tolist() == [1, 1, 0, 0, 1, 1]
    with pytest.raises(ValueError, match="activate padding"):
        inputs_of(processor, pictures[:2], ["a", "abc"])


def test_a_text_survives_the_tokenizer():
    tokenizer = TinyProcessor(n_queries=2).tokenizer
    text = "Question: how many ?\nAnswer:"
    ids = tokenizer(text)["input_ids"]
    assert tokenizer.decode(ids, skip_special_tokens=True) == text
    assert tokenizer.decode(ids) == "</s>" + text


def test_generate_returns_the_prompt_a_space_letters_and_a_line_break(parts, pictures):
    model, processor = parts
    inputs = inputs_of(processor, pictures, ["ab"] * 3)
    out = model.generate(**inputs, max_new_tokens=20)
    given = inputs["input_ids"].shape[1]
    assert torch.equal(out[:, :given], inputs["input_ids"])
    assert set(out[:, given].tolist()) == {SPACE}
    for row in out[:, given:].tolist():
        assert set(row[row.index(END) + 1 :]) <= {PAD}


def test_padding_on_the_right_or_without_its_mask_changes_the_answer(parts, pictures):
    model, processor = parts
    short = inputs_of(processor, pictures[:1], ["ab"])
    alone = model.generate(**short, max_new_tokens=6)[0, -6:]
    for side in ("left", "right"):
        both = inputs_of(processor, pictures[:2], ["ab", "abcde"], padding=True, padding_side=side)
        assert torch.equal(model.generate(**both, max_new_tokens=6)[0, -6:], alone) == (side == "left")
        del both["attention_mask"]
        assert not torch.equal(model.generate(**both, max_new_tokens=6)[0, -6:], alone)


def test_it_goes_wrong_as_the_real_one_does(parts, pictures):
    model, processor = parts
    inputs = inputs_of(processor, pictures, ["ab"] * 3)
    with pytest.raises(ValueError, match="strictly positive"):
        model.generate(**inputs, do_sample=True, temperature=0.0)
    with pytest.raises(ValueError, match="Input length of input_ids is 8"):
        model.generate(**inputs, max_length=8)
    with pytest.raises(RuntimeError, match="should be the same"):
        TinyCaptioner(n_queries=5, half=1).generate(**inputs)
    with pytest.raises(RuntimeError, match="Number of elements of source"):
        model.generate(**{**inputs, "pixel_values": inputs["pixel_values"][:2]})
    fewer = inputs_of(processor, pictures, ["ab"])  # the other two pictures are forgotten in silence
    assert len(model.generate(**fewer)) == 1
    with pytest.raises(ValueError, match="specify either"):
        processor()


def test_without_any_text_it_makes_the_prompt_of_a_caption(parts, pictures):
    model, processor = parts
    alone = model.generate(pixel_values=processor(images=pictures, return_tensors="pt")["pixel_values"])
    assert torch.equal(alone, model.generate(**inputs_of(processor, pictures, [""] * 3)))


def test_moving_a_batch_casts_pixels_alone(parts, pictures):
    batch = inputs_of(parts[1], pictures, [""] * 3).to("cpu", torch.bfloat16)
    assert batch.pixel_values.dtype == torch.bfloat16
    assert batch.input_ids.dtype == torch.int64
    with pytest.raises(AttributeError, match="labels"):
        _ = batch.labels
