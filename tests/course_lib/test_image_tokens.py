"""The image-token merge: laws of its own, and the logits and loss of transformers' LLaVA."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.image_tokens import IGNORED, merge_image_tokens
from course_lib.projectors import MLPProjector

PARITY = 1e-5
IMAGE_ID = -200
VOCABULARY, D, V = 31, 6, 4


def batch(pictures: tuple[int, ...], image_id: int = IMAGE_ID, d: int = D, v: int = V) -> dict[str, Any]:
    """Rows with so many pictures, words before, between and after them; the first third is a question."""
    input_ids, labels = [], []
    for row, n in enumerate(pictures):
        pieces = [torch.randint(1, VOCABULARY - 1, (2 + (row + k) % 3,)) for k in range(n + 1)]
        ids = pieces[0]
        for piece in pieces[1:]:
            ids = torch.cat([ids, torch.tensor([image_id]), piece])
        input_ids.append(ids)
        labels.append(torch.where(torch.arange(len(ids)) < len(ids) // 3, IGNORED, ids))
    return {
        "input_ids": input_ids,
        "labels": labels,
        "features": torch.randn(sum(pictures), v, d),
        "embedding": torch.randn(VOCABULARY, d),
        "image_id": image_id,
    }


# -- laws ----------------------------------------------------------------------------------------------------


def test_a_row_by_hand() -> None:
    embedding, features = torch.randn(9, D), torch.randn(2, 3, D)
    ids, labels = torch.tensor([4, -200, 7, 2, -200]), torch.tensor([-100, 8, 7, 2, 8])
    merged = merge_image_tokens([ids], [labels], features, embedding, -200)
    expected = torch.cat([embedding[[4]], features[0], embedding[[7, 2]], features[1]])
    assert torch.equal(merged["embeds"], expected[None])
    assert merged["labels"].tolist() == [[-100, -100, -100, -100, 7, 2, -100, -100, -100]]
    assert merged["positions"].tolist() == [list(range(9))]
    assert merged["keep"].all()


def test_rows_of_different_length_are_padded_on_the_right() -> None:
    given = batch((0, 2, 1))
    merged = merge_image_tokens(**given)
    lengths = [len(ids) + n * (V - 1) for ids, n in zip(given["input_ids"], (0, 2, 1), strict=True)]
    assert merged["embeds"].shape == (3, max(lengths), D)
    for row, length in enumerate(lengths):
        assert merged["keep"][row].tolist() == [True] * length + [False] * (max(lengths) - length)
        assert merged["positions"][row].tolist() == [*range(length), *[0] * (max(lengths) - length)]
        assert (merged["labels"][row, length:] == IGNORED).all()
        assert (merged["embeds"][row, length:] == 0).all()


def test_a_row_does_not_depend_on_its_neighbours() -> None:
    given = batch((2, 0, 1))
    together = merge_image_tokens(**given)
    alone = merge_image_tokens(
        given["input_ids"][2:], given["labels"][2:], given["features"][2:], given["embedding"], IMAGE_ID
    )
    length = alone["keep"].shape[1]
    assert all(torch.equal(alone[name][0], together[name][2, :length]) for name in alone)


@pytest.mark.parametrize("image_id", [-200, -1, VOCABULARY - 1, VOCABULARY, 10**9])
def test_the_placeholder_is_never_looked_up(image_id: int) -> None:
    given = batch((1, 2), image_id=image_id)
    before = merge_image_tokens(**given)["embeds"]
    given["embedding"][[0, VOCABULARY - 1, -200 % VOCABULARY]] += 1.0
    kept = [0, VOCABULARY - 1, -200 % VOCABULARY]
    used = torch.isin(
        torch.cat(given["input_ids"]), torch.tensor([word for word in kept if word != image_id])
    )
    after = merge_image_tokens(**given)["embeds"]
    moved = (after != before).any(dim=2).sum()
    assert moved == used.sum()


def test_gradients_reach_pictures_and_words() -> None:
    given = batch((1, 0, 2))
    given["features"].requires_grad_()
    given["embedding"].requires_grad_()
    merge_image_tokens(**given)["embeds"].sum().backward()
    words = torch.cat(given["input_ids"])
    times = torch.bincount(words[words != IMAGE_ID], minlength=VOCABULARY)
    assert (given["features"].grad == 1).all()
    assert torch.equal(given["embedding"].grad, times[:, None].expand(-1, D).float())


def test_nothing_given_is_written_into() -> None:
    given = batch((1, 0, 2))
    before = [ids.clone() for ids in (*given["input_ids"], *given["labels"])]
    merge_image_tokens(**given)
    assert all(map(torch.equal, before, (*given["input_ids"], *given["labels"])))


def test_no_picture_at_all_is_a_batch_too() -> None:
    given = batch((0, 0))
    merged = merge_image_tokens(**given)
    assert torch.equal(merged["embeds"][0, :2], given["embedding"][given["input_ids"][0]])


# -- errors --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_given", [0, 2, 4])
def test_a_wrong_number_of_pictures_names_both_numbers(n_given: int) -> None:
    given = batch((1, 0, 2)) | {"features": torch.randn(n_given, V, D)}
    with pytest.raises(ValueError, match=f"3 placeholders .* {n_given} pictures"):
        merge_image_tokens(**given)


def test_labels_of_another_length_are_named() -> None:
    given = batch((1, 1))
    given["labels"][1] = given["labels"][1][:-1]
    ids, labels = len(given["input_ids"][1]), len(given["labels"][1])
    with pytest.raises(ValueError, match=f"row 1 has {ids} ids and {labels} labels"):
        merge_image_tokens(**given)


@pytest.mark.parametrize("rows", [0, 1])
def test_rows_and_labels_in_different_numbers_are_an_error(rows: int) -> None:
    given = batch((1, 1))
    given["labels"] = given["labels"][:rows]
    given["input_ids"] = given["input_ids"][: 2 * rows]
    with pytest.raises(ValueError, match=f"{2 * rows} rows of ids and {rows} of labels"):
        merge_image_tokens(**given)


def test_features_that_are_not_projected_yet_are_an_error() -> None:
    given = batch((1,)) | {"features": torch.randn(1, V, D + 3)}
    with pytest.raises(ValueError, match=f"{D + 3} wide and word embeddings {D}"):
        merge_image_tokens(**given)


# -- transformers --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def llava() -> nn.Module:
    """A tiny LLaVA with every parameter drawn anew; 16 patches a picture, the last id its placeholder."""
    from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

    config = LlavaConfig(
        vision_config=CLIPVisionConfig(
            hidden_size=24,
            intermediate_size=32,
            num_hidden_layers=3,
            num_attention_heads=2,
            image_size=16,
            patch_size=4,
        ),
        text_config=LlamaConfig(
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            vocab_size=VOCABULARY,
        ),
        image_token_index=VOCABULARY - 1,
        image_seq_length=16,
        attn_implementation="eager",
    )
    model = LlavaForConditionalGeneration(config)
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.2)
    return model.eval()


def our_features(llava: nn.Module, pixels: Tensor) -> Tensor:
    """The penultimate layer without its class token, through a projector of ours."""
    projector = MLPProjector(24, 32)
    projector.load_state_dict(llava.model.multi_modal_projector.state_dict(), strict=True)
    hidden = llava.model.vision_tower(pixels, output_hidden_states=True).hidden_states[-2]
    features: Tensor = projector(hidden[:, 1:])
    return features


def expanded(rows: list[Tensor], placeholder: int, filling: int, padding: int) -> Tensor:
    """What transformers' processor does: a placeholder for every visual token, then padding."""
    longer = [row.repeat_interleave(torch.where(row == placeholder, 16, 1)) for row in rows]
    longer = [row.masked_fill(row == placeholder, filling) for row in longer]
    return nn.utils.rnn.pad_sequence(longer, batch_first=True, padding_value=padding)


@pytest.mark.parametrize("pictures", [(1,), (0, 1, 2), (2, 0), (1, 1)])
@torch.no_grad()
def test_logits_and_loss_are_those_of_transformers_llava(llava: nn.Module, pictures: tuple[int, ...]) -> None:
    given = batch(pictures)
    pixels = torch.randn(sum(pictures), 3, 16, 16)
    given |= {"features": our_features(llava, pixels), "embedding": llava.get_input_embeddings().weight}
    merged = merge_image_tokens(**given)

    # Ours: a placeholder outside the vocabulary, merged by us, read by the language model alone.
    hidden = llava.model.language_model(
        inputs_embeds=merged["embeds"], attention_mask=merged["keep"].long(), position_ids=merged["positions"]
    ).last_hidden_state
    logits = llava.lm_head(hidden)
    loss = F.cross_entropy(
        logits[:, :-1].flatten(0, 1), merged["labels"][:, 1:].flatten(), ignore_index=IGNORED
    )

    # Theirs: an id inside the vocabulary, repeated beforehand, merged by the model.
    marked = [
        labels.masked_fill(ids == IMAGE_ID, IMAGE_ID)
        for ids, labels in zip(given["input_ids"], given["labels"], strict=True)
    ]
    theirs = llava(
        input_ids=expanded(given["input_ids"], IMAGE_ID, VOCABULARY - 1, padding=0),
        attention_mask=merged["keep"].long(),
        pixel_values=pixels,
        labels=expanded(marked, IMAGE_ID, IGNORED, padding=IGNORED),
    )
    keep = merged["keep"]
    torch.testing.assert_close(logits[keep], theirs.logits[keep], atol=PARITY, rtol=0)
    torch.testing.assert_close(loss, theirs.loss, atol=PARITY, rtol=0)
    assert loss > 0


@torch.no_grad()
def test_a_padded_row_has_the_logits_it_has_alone(llava: nn.Module) -> None:
    given = batch((0, 1, 2), d=32)
    given |= {"embedding": llava.get_input_embeddings().weight}

    def logits(merged: dict[str, Tensor]) -> Tensor:
        hidden = llava.model.language_model(
            inputs_embeds=merged["embeds"],
            attention_mask=merged["keep"].long(),
            position_ids=merged["positions"],
        ).last_hidden_state
        out: Tensor = llava.lm_head(hidden)
        return out

    together = logits(merge_image_tokens(**given))
    alone = logits(
        merge_image_tokens(
            given["input_ids"][1:2], given["labels"][1:2], given["features"][:1], given["embedding"], IMAGE_ID
        )
    )
    torch.testing.assert_close(together[1, : alone.shape[1]], alone[0], atol=PARITY, rtol=0)
