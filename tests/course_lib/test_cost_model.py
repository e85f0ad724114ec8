"""Sizes of published models against models that are built, and tokens of pictures against what is known."""

from dataclasses import replace

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from course_lib import cost_figures, cost_model, full_size, stand_ins
from course_lib.answer_cost import answer_cost
from course_lib.cost_model import DecoderSizes, EncoderSizes
from course_lib.errors import ShapeError
from course_lib.gated_block import gated_block
from course_lib.language import LanguageModel, LanguageSizes
from course_lib.projectors import MLPProjector
from course_lib.real_sizes import CLIP_L, EVA_G, GEMMA_2B, LLAMA_7B, MLLAMA_EYE, REAL, SIGLIP
from course_lib.resampler import PerceiverResampler

tf = pytest.importorskip("transformers")
OURS = LanguageSizes(n_words=37, d_model=24, n_layers=5, n_heads=3, d_hidden=56)
SAME = DecoderSizes(37, 24, n_layers=5, n_heads=3, n_kv_heads=3, d_head=8, d_hidden=56, tied=True)


def counted(run):
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH), torch.no_grad():
        run()
    return counter.get_total_flops()


def llava_next():
    vision = tf.CLIPVisionConfig(
        hidden_size=1024,
        intermediate_size=4096,
        num_hidden_layers=24,
        num_attention_heads=16,
        image_size=336,
        patch_size=14,
    )
    text = tf.LlamaConfig(vocab_size=32_064)
    return tf.LlavaNextForConditionalGeneration(tf.LlavaNextConfig(text_config=text, vision_config=vision))


def paligemma():
    vision = {
        "model_type": "siglip_vision_model",
        "hidden_size": 1152,
        "intermediate_size": 4304,
        "num_hidden_layers": 27,
        "num_attention_heads": 16,
        "image_size": 224,
        "patch_size": 14,
        "vision_use_head": False,
    }
    text = {
        "model_type": "gemma",
        "hidden_size": 2048,
        "intermediate_size": 16_384,
        "num_hidden_layers": 18,
        "num_attention_heads": 8,
        "num_key_value_heads": 1,
        "vocab_size": 257_216,
    }
    config = tf.PaliGemmaConfig(vision_config=vision, text_config=text, projection_dim=2048)
    return tf.PaliGemmaForConditionalGeneration(config)


def qwen():
    text = {
        "hidden_size": 3584,
        "intermediate_size": 18_944,
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
        "vocab_size": 152_064,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]},
    }
    vision = {"depth": 32, "embed_dim": 1280, "hidden_size": 3584, "num_heads": 16, "patch_size": 14}
    return tf.Qwen2VLForConditionalGeneration(tf.Qwen2VLConfig(text_config=text, vision_config=vision))


BUILT = {
    "LLaVA-NeXT-7B, 672 x 672": llava_next,
    "Fuyu-8B, 300 x 300": lambda: tf.FuyuForCausalLM(tf.FuyuConfig()),
    "Llama-3.2-11B-Vision": lambda: tf.MllamaForConditionalGeneration(tf.MllamaConfig()),
    "PaliGemma-3B, 224 x 224": paligemma,
    "Qwen2-VL-7B, 448 x 448": qwen,
}
NAMES = {
    "LLaVA-1.5-7B": "LLaVA-1.5-7B",
    "BLIP-2 OPT-2.7B": "BLIP-2 OPT-2.7B",
    "IDEFICS-9B": "IDEFICS-9B style",
}


def test_every_published_model_is_held_to_one_that_is_built():
    assert set(BUILT) | set(NAMES) == set(REAL)


@pytest.mark.parametrize("name", sorted(BUILT))
def test_a_published_model_has_within_half_a_percent_the_parameters_of_its_sizes(name):
    with torch.device("meta"):
        built = full_size.count(BUILT[name]())
    assert REAL[name].parameters == pytest.approx(built, rel=0.005)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_encoder_bridge_and_decoder_are_right_each_by_itself(name):
    parts, model = full_size.parts_of(NAMES[name]), REAL[name]
    assert model.encoder is not None
    assert cost_model.encoder_parameters(model.encoder) == pytest.approx(parts["encoder"], rel=1e-5)
    assert model.bridge == parts["bridge"]
    decoder = cost_model.decoder_parameters(model.decoder)
    assert decoder["total"] == pytest.approx(parts["language model"], rel=0.003)
    assert decoder["total"] == sum(decoder.values()) - decoder["total"]


def test_a_decoder_and_a_block_of_ours_have_the_parameters_we_say():
    assert cost_model.decoder_parameters(SAME)["total"] == full_size.count(LanguageModel(OURS))
    block = gated_block(24, 14, n_heads=3, d_hidden=56)
    assert cost_model.gated_parameters(SAME, 14)["total"] == full_size.count(block)


def test_bridges_of_ours_have_the_parameters_and_cost_the_flops_we_say():
    mlp = MLPProjector(14, 24)
    assert cost_model.mlp_parameters(14, 24) == full_size.count(mlp)
    assert cost_model.mlp_flops(9, 14, 24) == counted(lambda: mlp(torch.randn(1, 9, 14)))
    linear = torch.nn.Linear(14, 24)
    assert cost_model.linear_parameters(14, 24) == full_size.count(linear)
    assert cost_model.linear_flops(9, 14, 24) == counted(lambda: linear(torch.randn(1, 9, 14)))
    resampler = PerceiverResampler(12, n_latents=4, n_layers=3, n_heads=2, d_head=5)
    assert cost_model.resampler_parameters(12, 4, 3, 2, 5) == full_size.count(resampler)


@pytest.mark.parametrize("every", [2, 3])
def test_a_qformer_of_transformers_has_the_parameters_and_costs_the_flops_we_say(every):
    config = tf.Blip2QFormerConfig(
        hidden_size=24,
        num_hidden_layers=5,
        num_attention_heads=3,
        intermediate_size=40,
        encoder_hidden_size=14,
        cross_attention_frequency=every,
        attn_implementation="eager",
    )
    model, project = tf.Blip2QFormerModel(config).eval(), torch.nn.Linear(24, 18)
    sizes = {"n_layers": 5, "d_hidden": 40, "look_every": every}
    built = full_size.count(model) + 4 * 24 + full_size.count(project)
    assert cost_model.qformer_parameters(24, 14, 18, n_queries=4, **sizes) == built

    def run():
        read = model(query_embeds=torch.randn(1, 4, 24), encoder_hidden_states=torch.randn(1, 9, 14))
        project(read.last_hidden_state)

    assert cost_model.qformer_flops(9, 24, 14, 18, n_queries=4, **sizes) == counted(run)


def test_a_vision_transformer_costs_what_torch_counts():
    config = tf.CLIPVisionConfig(
        hidden_size=24,
        intermediate_size=40,
        num_hidden_layers=3,
        num_attention_heads=2,
        image_size=48,
        patch_size=8,
        attn_implementation="eager",
    )
    model, sizes = tf.CLIPVisionModel(config).eval(), EncoderSizes(24, 3, 2, 40, patch=8, image=48)
    assert cost_model.encoder_parameters(sizes) == full_size.count(model)
    assert cost_model.encoder_flops(sizes) == counted(lambda: model(torch.randn(1, 3, 48, 48)))
    assert cost_model.encoder_flops(sizes, 5) == 5 * cost_model.encoder_flops(sizes)


def test_known_pictures_take_their_known_tokens():
    tokens = cost_model.picture_tokens
    assert (tokens(224, 224, 16), tokens(336, 336, 14), tokens(448, 448, 14, merge=2)) == (196, 576, 256)
    assert tokens(672, 672, 14, tile=336) == 5 * 576
    assert tokens(672, 672, 14, tile=336, newlines=True) == 2928
    assert tokens(300, 600, 30) == 200  # not square: width and height each by itself
    assert tokens(300, 600, 30, newlines=True) == 220  # twenty rows
    assert tokens(600, 300, 30, newlines=True) == 210


def test_tiles_cover_the_picture_and_a_single_one_needs_no_thumbnail():
    tokens = cost_model.picture_tokens
    assert tokens(337, 336, 14, tile=336) == (2 + 1) * 576
    assert tokens(337, 336, 14, tile=336, thumbnail=False) == 2 * 576
    assert tokens(100, 336, 14, tile=336) == 576
    assert tokens(1344, 336, 14, merge=2, tile=336) == (4 + 1) * 144
    assert [cost_model.encoder_tokens(eye) for eye in (CLIP_L, EVA_G, SIGLIP)] == [577, 257, 256]
    assert 4 * cost_model.encoder_tokens(MLLAMA_EYE) == 4100


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"width": 340, "height": 336, "patch": 14}, "width=340.*patches of 14.*nearest width.*336"),
        ({"width": 336, "height": 359, "patch": 14, "merge": 2}, "height=359.*2 x 2.*nearest height.*364"),
        ({"width": 3, "height": 28, "patch": 14}, "width=3.*nearest width.*14"),
        ({"width": 640, "height": 480, "patch": 14, "tile": 330}, "tile=330.*nearest tile.*336"),
        (
            {"width": 1500, "height": 1000, "patch": 14, "tile": 336},
            "5 x 3 tiles of 336.*max_tiles=4.*672 x 448",
        ),
        ({"width": 0, "height": 28, "patch": 14}, "width=0.*1 or more"),
    ],
)
def test_a_picture_that_does_not_fit_is_told_the_nearest_that_does(asked, said):
    with pytest.raises(ShapeError, match=said):
        cost_model.picture_tokens(**asked)


@pytest.mark.parametrize("shape", [(1500, 1000), (5000, 1), (1, 5000), (337, 337), (3000, 100)])
@pytest.mark.parametrize("most", [1, 2, 4])
def test_the_nearest_of_a_shape_fits_and_one_pixel_more_does_not(shape, most):
    found = cost_model._largest_that_fits(*shape, tile=336, max_tiles=most)

    def tiles(width, height):
        return -(-width // 336) * -(-height // 336)

    assert tiles(*found) <= most
    wider = found[0] + 1
    if wider < shape[0]:
        assert tiles(wider, max(1, wider * shape[1] // shape[0])) > most


def test_budgets_are_met_or_refused_with_their_numbers():
    assert cost_model.largest_side(576, 14) == 336
    assert cost_model.largest_side(575, 14) == 322
    assert cost_model.largest_side(64, 14, merge=2) == 224
    assert cost_model.pictures_that_fit(4096, 576, 50) == 7
    with pytest.raises(ShapeError, match=r"budget=0.*28 x\s+28"):
        cost_model.largest_side(0, 14, merge=2)
    with pytest.raises(ShapeError, match=r"2978.*2048.*at most 1998"):
        cost_model.pictures_that_fit(2048, 2928, 50)
    with pytest.raises(ShapeError, match="the text alone fills it"):
        cost_model.pictures_that_fit(40, 1, 50)


@pytest.mark.parametrize(("tokens", "fused"), [(7, False), (7, True), (40, False), (40, True)])
def test_what_a_training_pass_keeps_is_the_floor_that_is_said(tokens, fused):
    """Measured on the course's own model, whose norms and rotations are written out in steps."""
    model, kept = LanguageModel(OURS), {}
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    held = []

    def keep(saved):
        held.append(saved)  # so that no storage is given away twice
        storage = saved.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return saved

    backend = SDPBackend.FLASH_ATTENTION if fused else SDPBackend.MATH
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda saved: saved), sdpa_kernel(backend):
        model(torch.randn(1, tokens, 24), torch.ones(1, tokens, dtype=torch.bool), torch.arange(tokens)[None])
    floor = cost_model.activation_bytes(SAME, tokens, training=True, bytes_per_number=4, fused=fused)
    assert 0.8 * sum(kept.values()) < floor <= sum(kept.values())


def test_the_largest_tensor_of_a_pass_is_named_rightly():
    largest = cost_model.activation_bytes
    assert largest(LLAMA_7B, 626) == 2 * 626 * 11_008
    assert largest(LLAMA_7B, 626, logits="all") == 2 * 626 * 32_000
    assert largest(LLAMA_7B, 4096, fused=False) == 2 * 32 * 4096**2
    assert largest(GEMMA_2B, 1) == 2 * 257_216
    assert largest(LLAMA_7B, 0) == 0


def test_sizes_travel_as_a_stand_in():
    assert stand_ins.build("decoder_sizes", **vars(SAME)) == SAME
    assert stand_ins.build("decoder_sizes", **vars(replace(SAME, gated=False))) != SAME


def test_the_figure_says_in_words_what_it_shows():
    shown = cost_figures.bills(answer_cost, texts=(50,), visual=(64, 576))
    assert "in the stream: 1.49 to 8.34 TFLOP" in shown.alt
    assert shown.table is not None
    assert len(shown.table.rows) == 6
