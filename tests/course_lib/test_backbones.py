"""The shipped models load only from the bytes the manifest names, frozen; else they say what to do."""

import argparse
import hashlib
import importlib.util
import json
import shutil
from pathlib import Path

import pytest
import torch

from course_lib import shipped
from course_lib.backbones import (
    ENCODERS,
    LANGUAGE_MODELS,
    load_contrastive,
    load_encoder,
    load_language_model,
    load_vocabulary,
    verified,
)
from course_lib.errors import CourseError, DataError
from course_lib.microworld import caption, draw_scenes, render_many
from course_lib.shipped import data_folder, manifest
from course_lib.vision import to_pixels

FILES = ("encoder.safetensors", "language_model.safetensors")
MODELS = {*ENCODERS.values(), *LANGUAGE_MODELS.values()}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for name in (*FILES, "manifest.json"):
        shutil.copy(data_folder() / name, tmp_path / name)
    return tmp_path


def test_the_manifest_names_every_file_with_hash_licence_recipe_and_figures():
    folder = data_folder()
    entries = manifest()
    assert set(entries) == {path.name for path in folder.glob("*.safetensors")}
    assert set(entries) == MODELS | {"digits.safetensors"}
    for name, entry in entries.items():
        content = (folder / name).read_bytes()
        assert entry["sha256"] == hashlib.sha256(content).hexdigest()
        assert entry["bytes"] == len(content)
        assert entry["licence"]
        assert entry["recipe"].startswith("python data/recipes/")
        if name in MODELS:
            assert entry["steps"] > 0
            assert entry["seconds"] > 0
            assert entry["metrics"]


def test_all_that_is_shipped_is_at_most_twelve_megabytes():
    assert sum(path.stat().st_size for path in data_folder().glob("*.safetensors")) <= 12_000_000


def test_the_backbones_are_as_small_as_promised():
    assert sum(p.numel() for p in load_encoder().parameters()) <= 1_500_000
    assert sum(p.numel() for p in load_language_model().parameters()) <= 3_000_000


def test_the_recipes_that_the_manifest_names_are_there():
    recipes = Path(shipped.__file__).resolve().parents[1]
    for entry in manifest().values():
        assert (recipes / entry["recipe"].split()[1]).is_file()


@pytest.mark.parametrize("load", [load_encoder, load_language_model, load_contrastive])
def test_what_is_loaded_is_frozen_and_stays_the_same(load):
    model, again = load(), load()
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert model is not again  # a learner may change theirs without changing the next one
    for one, other in zip(model.state_dict().values(), again.state_dict().values(), strict=True):
        assert one.dtype == torch.float32
        assert torch.equal(one, other)


def test_the_encoder_is_not_random_captions_find_their_pictures():
    model, words = load_contrastive(), load_vocabulary()
    scenes = draw_scenes(64, "new", seed=77)
    rows = words.rows([f"<start> {caption(scene)} <end>" for scene in scenes], 32)
    logits = model(to_pixels(torch.from_numpy(render_many(scenes))), torch.tensor(rows))
    assert (logits.argmax(1) == torch.arange(64)).float().mean() > 0.75


@pytest.mark.parametrize("which", list(ENCODERS))
def test_every_encoder_loads_and_they_are_different(which):
    ours = load_encoder(which=which).state_dict()
    if which != "best":
        best = load_encoder().state_dict()
        assert any(not torch.equal(ours[name], best[name]) for name in ours)


@pytest.mark.parametrize("which", list(LANGUAGE_MODELS))
def test_every_language_model_loads(which):
    assert load_language_model(which=which).sizes.n_words == len(load_vocabulary())


def test_an_unknown_backbone_is_answered_with_the_known_ones():
    with pytest.raises(CourseError, match="no backbone 'large'; choose one of best, plain, no regions"):
        load_encoder(which="large")
    with pytest.raises(CourseError, match="'no regions' ships without its text tower"):
        load_contrastive(which="no regions")
    with pytest.raises(CourseError, match="choose one of best, text only, direct"):
        load_language_model(which="large")


def test_a_missing_file_names_itself_and_the_ways_back(copy):
    (copy / FILES[0]).unlink()
    with pytest.raises(
        DataError, match=r"encoder\.safetensors cannot be read.*git checkout -- data.*train_encoder\.py"
    ):
        load_encoder(copy)


def test_one_changed_bit_is_noticed_and_both_hashes_are_named(copy):
    content = bytearray((copy / FILES[1]).read_bytes())
    content[-1] ^= 1
    (copy / FILES[1]).write_bytes(content)
    wanted, found = manifest(copy)[FILES[1]]["sha256"], hashlib.sha256(content).hexdigest()
    with pytest.raises(DataError, match=f"{found[:12]}.*should be {wanted[:12]}.*git checkout"):
        load_language_model(copy)


def test_a_truncated_file_is_not_half_loaded(copy):
    content = (copy / FILES[1]).read_bytes()
    (copy / FILES[1]).write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=f"{len(content) // 2} bytes"):
        load_language_model(copy)


def test_a_model_of_another_vocabulary_is_refused(copy):
    entries = json.loads((copy / "manifest.json").read_text())
    entries["files"][FILES[1]]["vocabulary_sha256"] = "0" * 64
    (copy / "manifest.json").write_text(json.dumps(entries))
    with pytest.raises(DataError, match="another list of words"):
        load_language_model(copy)


def test_a_file_the_manifest_does_not_name_is_refused(copy):
    shutil.copy(copy / FILES[0], copy / "other.safetensors")
    with pytest.raises(DataError, match=r"does not name other\.safetensors"):
        verified("other.safetensors", copy)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"files": 1'])
def test_a_broken_manifest_is_one_clear_error(copy, text):
    (copy / "manifest.json").write_text(text)
    with pytest.raises(DataError, match=r"manifest\.json cannot be read"):
        load_encoder(copy)


def test_no_data_at_all_names_the_places_looked_in(tmp_path):
    with pytest.raises(DataError, match=f"no manifest.json in {tmp_path / 'a'} or {tmp_path / 'b'}"):
        data_folder((tmp_path / "a", tmp_path / "b"))
    with pytest.raises(DataError, match="is missing"):
        load_encoder(tmp_path)


def test_the_package_is_looked_in_before_the_repository(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "manifest.json").write_text("{}")
    assert data_folder((tmp_path / "a", tmp_path / "b")) == tmp_path / "a"
    assert shipped.PLACES[0] == Path(shipped.__file__).resolve().parent / "_data"


@pytest.fixture
def recipe():
    """The recipes' common part."""
    path = Path(shipped.__file__).resolve().parents[1] / "data" / "recipes" / "common.py"
    spec = importlib.util.spec_from_file_location("recipes_common", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("muon", [False, True])
def test_a_recipe_that_was_stopped_goes_on_to_the_very_same_model(recipe, muon, tmp_path):
    def train(name: str, stop_at: int | None) -> torch.Tensor:
        torch.manual_seed(0)
        model = torch.nn.Linear(4, 3)

        def loss_of_step(step: int) -> tuple[torch.Tensor, dict[str, float]]:
            if step == stop_at:
                raise KeyboardInterrupt
            x = torch.randn(8, 4, generator=torch.Generator().manual_seed(step))
            return (model(x) - x[:, :3]).pow(2).mean(), {}

        options = argparse.Namespace(steps=250, seed=0, fresh=False, device="cpu", out=tmp_path)
        recipe.train(name, model, loss_of_step, options, peak=1e-2, warm_up=10, muon=muon)
        return model.weight.detach().clone()

    whole = train("whole", None)
    with pytest.raises(KeyboardInterrupt):
        train("stopped", 130)
    assert torch.equal(train("stopped", None), whole)
    assert (whole - torch.eye(4)[:3]).abs().max() < 0.4  # and it learned, .21 was seen


def test_a_shipped_file_enters_the_manifest_and_loads_back(recipe, tmp_path, capsys):
    tensors = {"weight": torch.randn(3, 4)}
    back = recipe.ship(tensors, tmp_path / "tiny.safetensors")
    assert back["weight"].dtype == torch.float32
    torch.testing.assert_close(back["weight"], tensors["weight"], atol=2e-3, rtol=2e-3)
    recipe.enter(
        tmp_path, "tiny.safetensors", {"metrics": {"m": 1}, "vocabulary_sha256": load_vocabulary().sha256}
    )
    assert torch.equal(verified("tiny.safetensors", tmp_path)["weight"], back["weight"])
    assert '"m": 1' in capsys.readouterr().out
