"""Real shapes are counted right, and the tiny LLaVA goes the way of the real one."""

import numpy as np
import pytest
import torch
from torch import nn

from course_lib import full_size
from course_lib.errors import CourseError
from course_lib.gated_block import GatedBlock, MaskedCrossAttention, gated_block
from course_lib.resampler import PerceiverResampler
from course_lib.side_by_side import first_difference

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


# -- Flamingo's sizes, and an IDEFICS ------------------------------------------------------------------------


def test_gated_blocks_stand_where_the_paper_puts_them():
    places = {name: size.places for name, size in full_size.FLAMINGOS.items()}
    assert places["Flamingo-3B"] == list(range(24))
    assert places["Flamingo-9B"] == [0, 4, 8, 12, 16, 20, 24, 28, 32, 36]
    assert places["Flamingo-80B"] == [0, 7, 14, 21, 28, 35, 42, 49, 56, 63, 70, 77]


def test_flamingos_new_parts_are_counted_without_a_single_weight():
    counts = full_size.flamingo_counts(PerceiverResampler, MaskedCrossAttention, GatedBlock)
    small, large = counts["Flamingo-3B"], counts["Flamingo-80B"]
    assert small["attention"] == 2 * 2048 * 2048 + 2 * 1536 * 2048
    assert small["feed-forward"] == 8 * 2048**2
    # one block: attention, feed-forward, two norms, two gates
    assert small["gated"] == 24 * (small["attention"] + small["feed-forward"] + 2 * 2048 + 2)
    assert large["gated"] == 12 * (2 * 8192**2 + 2 * 1536 * 8192 + 8 * 8192**2 + 2 * 8192 + 2)
    assert large["resampler"] == 6 * (12 * 1536**2 + 6 * 1536) + 66 * 1536
    assert large["trainable"] == large["gated"] + large["resampler"]
    wide = full_size.flamingo_counts(PerceiverResampler, MaskedCrossAttention, GatedBlock, d_visual=None)
    assert wide["Flamingo-80B"]["attention"] == 4 * 8192**2


def test_idefics_parts_of_ours_are_as_large_as_those_of_transformers():
    with torch.device("meta"):
        resampler = PerceiverResampler(1280, 64, 6, 16, 96)
        block = gated_block(d_text=4096, d_visual=1280, n_heads=32, d_hidden=11_008)
    assert full_size.count(resampler) == 125_959_680
    assert full_size.count(block) == 179_314_690
    assert 8 * 179_314_690 + 125_959_680 == full_size.parts_of("IDEFICS-9B style")["bridge"]


@pytest.fixture(scope="module")
def idefics(tmp_path_factory):
    return full_size.open_idefics(tmp_path_factory.mktemp("idefics"), real=False)


def parts_with_its_weights(idefics, strict=True):
    s = idefics.sizes
    resampler = PerceiverResampler(
        s["d_visual"], s["n_latents"], s["resampler_layers"], s["resampler_heads"], s["resampler_head"]
    )
    resampler.load_state_dict(idefics.resampler.state_dict(), strict=strict)
    blocks = nn.ModuleList()
    for theirs in idefics.blocks:
        mine = gated_block(s["d_text"], s["d_visual"], s["n_heads"], s["d_hidden"])
        mine.load_state_dict(theirs.state_dict(), strict=strict)
        blocks.append(mine)
    return resampler, blocks


def test_the_tiny_idefics_is_the_same_every_time_and_has_no_weight_at_rest(idefics, tmp_path):
    again = full_size.open_idefics(tmp_path, real=False)
    mine, theirs = idefics.model.state_dict(), again.model.state_dict()
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    assert not idefics.is_real
    for name, parameter in idefics.model.named_parameters():
        assert parameter.abs().min() > 0, name
        assert parameter.numel() == 1 or parameter.std() > 0.02, name


def test_each_part_with_its_weights_is_that_part(idefics):
    resampler, blocks = parts_with_its_weights(idefics)
    visual, text, looked = torch.randn(3, 9, 20), torch.randn(3, 7, 32), torch.randn(3, 10, 20)
    mask = torch.rand(3, 7, 10) < 0.5
    mask[1, 2] = False
    assert first_difference(resampler, idefics.resampler, visual).same
    assert len(blocks) == 2
    for mine, theirs in zip(blocks, idefics.blocks, strict=True):
        found = first_difference(mine, theirs, text, looked, mask)
        assert found.same, str(found)
        assert {step.name for step in found.steps} >= {"cross_attn.q_proj", "mlp", "(whole)"}


def row_of_two_pictures():
    ids, patches = torch.randint(3, 20, (2, 8)), torch.randn(2, 2, 9, 20)
    index = torch.tensor([[0, 0, 1, 1, 1, 2, 2, 2], [1, 1, 1, 1, 2, 2, 2, 2]])
    return ids, patches, index[:, :, None] == torch.tensor([1, 2])


def test_the_whole_model_says_the_same_with_our_parts_in_it(idefics):
    ids, patches, reads = row_of_two_pictures()
    resampler, blocks = parts_with_its_weights(idefics)
    theirs = idefics.logits(ids, patches, reads)
    ours = idefics.logits(ids, patches, reads, resampler, blocks)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)
    assert torch.equal(idefics.logits(ids, patches, reads), theirs), "the model is not as it was"


def test_another_mask_or_another_part_changes_what_it_says(idefics):
    """The control of the test above: what is compared there depends on pictures, masks and parts."""
    ids, patches, reads = row_of_two_pictures()
    resampler, blocks = parts_with_its_weights(idefics)
    theirs = idefics.logits(ids, patches, reads)
    assert (idefics.logits(ids, patches, reads.flip(2)) - theirs).abs().max() > 1e-2
    assert (idefics.logits(ids, patches.flip(1), reads, resampler, blocks) - theirs).abs().max() > 1e-2
    with torch.no_grad():
        blocks[1].alpha_dense.neg_()
    assert (idefics.logits(ids, patches, reads, resampler, blocks) - theirs).abs().max() > 1e-2


def test_norms_of_queries_and_keys_are_found_where_they_stand(tmp_path):
    from transformers import IdeficsForVisionText2Text as Model

    where = full_size.tiny_idefics(tmp_path, norms=True)
    normed = full_size.Idefics(Model.from_pretrained(where, attn_implementation="eager").eval(), "", False)
    resampler, _ = parts_with_its_weights(normed, strict=False)
    found = first_difference(resampler, normed.resampler, torch.randn(2, 9, 20))
    assert not found.same
    assert found.first == "between blocks.0.0.v_proj and blocks.0.0.output_proj"


def test_a_real_idefics_out_of_reach_ends_in_the_tiny_one(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(full_size, "REAL_IDEFICS", str(tmp_path / "nowhere"))
    assert not full_size.open_idefics(tmp_path, real=True).is_real
    assert "going on with a tiny random IDEFICS" in capsys.readouterr().out
