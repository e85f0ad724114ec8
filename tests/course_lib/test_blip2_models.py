"""The tiny BLIP-2 goes the way of the real one, and the course's own parts agree with it."""

import numpy as np
import pytest
import torch

from course_lib import blip2_models
from course_lib.blip2_answers import blip2_answers
from course_lib.errors import CourseError

pytest.importorskip("transformers")

PICTURES = list(np.random.default_rng(0).integers(0, 255, (3, 48, 48, 3)).astype(np.uint8))
QUESTIONS = ["what colour is the ring ?", "how many ?", "is there a red ring in the top left corner ?"]


@pytest.fixture(scope="module")
def blip2(tmp_path_factory):
    return blip2_models.open_blip2(tmp_path_factory.mktemp("blip2"), real=False)


def test_it_has_the_real_ones_classes(blip2):
    assert type(blip2.model).__name__ == "Blip2ForConditionalGeneration"
    assert type(blip2.model.language_model).__name__ == "OPTForCausalLM"
    assert type(blip2.processor).__name__ == "Blip2Processor"
    assert not blip2.is_real
    assert not blip2.model.training


def test_it_is_the_same_every_time(blip2, tmp_path):
    mine, again = blip2.model.state_dict(), blip2_models.open_blip2(tmp_path, real=False).model.state_dict()
    assert mine.keys() == again.keys()
    assert all(torch.equal(mine[name], again[name]) for name in mine)


def test_no_weight_is_left_at_zero_or_one(blip2):
    for name, parameter in blip2.model.named_parameters():
        assert parameter.std() > 0.02, name


def test_no_word_of_a_question_is_unknown_and_texts_survive(blip2):
    tokenizer = blip2.processor.tokenizer
    for question in QUESTIONS:
        text = f"Question: {question} Answer:"
        ids = tokenizer(text)["input_ids"]
        assert tokenizer.unk_token_id not in ids
        assert ids[0] == tokenizer.bos_token_id
        assert tokenizer.decode(ids, skip_special_tokens=True) == text


def test_generate_returns_the_prompt_before_the_new_words(blip2):
    prompt = f"Question: {QUESTIONS[0]} Answer:"
    inputs = blip2.processor(images=PICTURES[:1], text=[prompt], return_tensors="pt")
    out = blip2.model.generate(**inputs, max_new_tokens=4, do_sample=False)
    given = inputs["input_ids"].shape[1]
    assert torch.equal(out[:, :given], inputs["input_ids"])
    assert 1 <= out.shape[1] - given <= 4
    placeholders = inputs["input_ids"] == blip2.model.config.image_token_id
    assert placeholders.sum() == placeholders[:, :6].sum() == 6


def test_answers_are_the_same_alone_and_in_company(blip2):
    together = blip2_answers(blip2.model, blip2.processor, PICTURES, QUESTIONS, max_new_tokens=5)
    for picture, question, answer in zip(PICTURES, QUESTIONS, together, strict=True):
        assert blip2_answers(blip2.model, blip2.processor, [picture], [question], 5) == [answer]
        assert "Question" not in answer
        assert answer == answer.strip()


def test_padding_on_the_right_changes_an_answer(blip2):
    how = {"images": PICTURES, "text": [f"Question: {q} Answer:" for q in QUESTIONS], "padding": True}
    said = {}
    for side in ("left", "right"):
        inputs = blip2.processor(**how, padding_side=side, return_tensors="pt")
        out = blip2.model.generate(**inputs, max_new_tokens=5, do_sample=False)
        said[side] = out[:, inputs["input_ids"].shape[1] :].tolist()
    assert said["left"] != said["right"]
    assert said["left"][2] == said["right"][2]  # the longest row has no padding


def test_the_picture_counts(blip2):
    inputs = blip2.processor(images=PICTURES, text=[""] * 3, return_tensors="pt")
    with torch.no_grad():
        logits = blip2.model(**inputs).logits[:, -1]
    assert (logits[0] - logits[1]).abs().max() > 0.01


def test_real_weights_out_of_reach_end_in_the_tiny_ones(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(blip2_models, "REAL_BLIP2", str(tmp_path / "nowhere"))
    opened = blip2_models.open_blip2(tmp_path, real=True)
    assert not opened.is_real
    assert "going on with a tiny random BLIP-2" in capsys.readouterr().out


def test_missing_transformers_is_one_sentence_with_a_way_out(monkeypatch, tmp_path):
    monkeypatch.setattr(blip2_models, "has_transformers", lambda: False)
    with pytest.raises(CourseError, match=r"pip install .*skip this section"):
        blip2_models.open_blip2(tmp_path)
