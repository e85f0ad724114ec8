"""The backbones as transformers checkpoints: opened by its own classes, they say what ours say."""

from pathlib import Path

import pytest
import torch

from course_lib.backbones import load_encoder, load_language_model
from course_lib.errors import CourseError
from course_lib.microworld import Vocabulary, draw_questions, draw_scenes, render_many
from course_lib.pretrained import save_pretrained, tokenizer
from course_lib.vision import to_pixels

transformers = pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_pretrained(tmp_path_factory.mktemp("pretrained"))


@torch.no_grad()
def test_transformers_own_encoder_sees_what_ours_sees(folder: Path) -> None:
    theirs = transformers.CLIPVisionModel.from_pretrained(
        folder / "encoder", attn_implementation="eager"
    ).eval()
    pixels = to_pixels(torch.from_numpy(render_many(draw_scenes(3, "new"))))
    states = theirs(pixels, output_hidden_states=True).hidden_states
    for ours, other in zip(load_encoder().hidden_states(pixels), states, strict=True):
        torch.testing.assert_close(ours, other, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_transformers_own_llama_says_what_ours_says(folder: Path) -> None:
    theirs = transformers.LlamaForCausalLM.from_pretrained(
        folder / "language_model", attn_implementation="eager"
    ).eval()
    ours, words = load_language_model(), Vocabulary()
    ids = torch.tensor([words.encode("how many circles ? two <end>"), words.encode("is there a red ring ?")])
    keep = torch.ones_like(ids, dtype=torch.bool)  # True = keep
    positions = torch.arange(ids.shape[1]).expand(2, -1)
    logits = ours(ours.model.embed_tokens(ids), keep, positions)
    torch.testing.assert_close(theirs(ids, attention_mask=keep.long()).logits, logits, atol=1e-5, rtol=1e-5)
    assert theirs.lm_head.weight is theirs.model.embed_tokens.weight


def test_the_saved_tokenizer_gives_our_ids_and_refuses_unknown_words(folder: Path) -> None:
    saved = transformers.AutoTokenizer.from_pretrained(folder / "language_model")
    words = Vocabulary()
    for scene in draw_scenes(20, "web"):
        for question in draw_questions(scene, 4):
            text = f"<image> {question.text} {question.answer} <end>"
            assert saved(text)["input_ids"] == words.encode(text)
            assert saved.decode(words.encode(text)) == text
    assert (saved.pad_token_id, saved.eos_token_id) == (words.pad_id, words.end_id)
    with pytest.raises(Exception, match=r"UNK|unk"):
        saved("what colour is the dragon ?")


def test_an_unknown_backbone_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(CourseError, match="no backbone 'worst'; choose one of best, plain, no regions"):
        save_pretrained(tmp_path, encoder="worst")


def test_without_transformers_one_sentence_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(CourseError, match="pip install transformers"):
        tokenizer()
