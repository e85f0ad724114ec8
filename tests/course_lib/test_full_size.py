"""Real shapes are counted right, and the tiny LLaVA goes the way of the real one."""

import numpy as np
import pytest
import torch
from torch import nn

from course_lib import full_size
from course_lib.errors import CourseError

pytest.importorskip("transformers")

# Importing and building transformers' models meets deprecations of its own dependencies.
PICTURE = np.random.default_rng(0).integers(0, 255, (48, 48, 3)).astype(np.uint8)


def test_a_shared_parameter_counts_once():
    layer = nn.Linear(3, 4)
    assert full_size.count(nn.ModuleList([layer, layer])) == 16
    assert full_size.count([layer.weight, layer.weight, layer.bias]) == 16


@pytest.mark.parametrize(
    ("name", "encoder", "bridge", "total"),
    [
        ("LLaVA-1.5-7B", 303_507_456, 20_979_712, 7_063_427_072),
        # 105,137,664 of the Q-Former, 32 x 768 queries and the matrix from 768 to 2,560
        ("BLIP-2 OPT-2.7B", 985_952_256, 107_130_880, 3_744_761_856),
        # 8 gated layers of about 179.3M each, and a resampler of 125,959,680
        ("IDEFICS-9B style", 630_766_080, 1_560_477_200, 8_929_658_896),
    ],
)
def test_real_models_have_their_known_sizes(name, encoder, bridge, total):
    parts = full_size.parts_of(name)
    assert (parts["encoder"], parts["bridge"], parts["total"]) == (encoder, bridge, total)
    assert parts["encoder"] + parts["bridge"] + parts["language model"] == parts["total"]


def test_an_unknown_model_is_named_with_those_there_are():
    with pytest.raises(CourseError, match=r"'GPT-9'.*LLaVA-1\.5-7B"):
        full_size.parts_of("GPT-9")


def test_missing_transformers_is_one_sentence_with_a_way_out(monkeypatch):
    monkeypatch.setattr(full_size, "has_transformers", lambda: False)
    with pytest.raises(CourseError, match=r"pip install .*skip this section"):
        full_size.parts_of("LLaVA-1.5-7B")


@pytest.fixture(scope="module")
def llava(tmp_path_factory):
    return full_size.open_llava(tmp_path_factory.mktemp("llava"), real=False)


def test_the_tiny_llava_is_the_same_every_time(llava, tmp_path):
    again = full_size.open_llava(tmp_path, real=False)
    mine, theirs = llava.model.state_dict(), again.model.state_dict()
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)


def test_no_weight_of_the_tiny_llava_is_left_at_zero_or_one(llava):
    assert not llava.is_real
    for name, parameter in llava.model.named_parameters():
        assert parameter.std() > 0.02, name


def test_a_prompt_holds_one_placeholder_and_expands_to_one_for_each_token(llava):
    ids = llava.prompt("what colour is the ring ?")
    image = llava.model.config.image_token_id
    assert ids.count(image) == 1
    assert 0 not in ids  # no unknown word
    expanded = llava.expanded(ids)
    assert expanded.count(image) == llava.n_visual == 36
    assert [i for i in expanded if i != image] == [i for i in ids if i != image]


def test_patch_tokens_are_those_that_the_model_projects(llava):
    patches = llava.patch_tokens(PICTURE)
    with torch.no_grad():
        mine = llava.model.model.multi_modal_projector(patches)
        theirs = llava.model.model.get_image_features(llava.pixels(PICTURE)).pooler_output
    torch.testing.assert_close(mine[0], theirs[0], atol=1e-6, rtol=0)


def test_it_answers_in_words_of_its_own(llava):
    said = llava.answer(PICTURE, "what colour is the ring ?", new_tokens=3)
    assert len(said.split()) <= 3
    assert said == llava.answer(PICTURE, "what colour is the ring ?", new_tokens=3)


def test_real_weights_out_of_reach_end_in_the_tiny_ones(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(full_size, "REAL_LLAVA", str(tmp_path / "nowhere"))
    opened = full_size.open_llava(tmp_path, real=True)
    assert not opened.is_real
    assert "going on with a tiny random LLaVA" in capsys.readouterr().out
