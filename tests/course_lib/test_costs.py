"""Every cost is counted twice: by our formula, and by torch's own counter on a small module that runs."""

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from course_lib import costs
from course_lib.errors import ShapeError
from course_lib.gated_block import MaskedCrossAttention
from course_lib.language import LanguageModel, LanguageSizes
from course_lib.resampler import PerceiverResampler


def counted(run):
    """FLOPs of a call as torch counts them. Plain attention: a fused kernel on the CPU is not counted."""
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        run()
    return counter.get_total_flops()


@pytest.mark.parametrize("tokens", [1, 5, 13])
def test_a_decoder_costs_what_torch_counts(tokens):
    sizes = LanguageSizes(n_words=37, d_model=24, n_layers=3, n_heads=4, d_hidden=56)
    model = LanguageModel(sizes).eval()
    embeds, keep = torch.randn(1, tokens, 24), torch.ones(1, tokens, dtype=torch.bool)
    mine = costs.decoder_flops(sizes, tokens)
    assert mine["total"] == counted(lambda: model(embeds, keep, torch.arange(tokens)[None]))
    assert mine["total"] == sum(mine.values()) - mine["total"]


def test_a_llama_of_transformers_costs_the_same():
    tf = pytest.importorskip("transformers")
    config = tf.LlamaConfig(
        vocab_size=41,
        hidden_size=24,
        intermediate_size=40,
        num_hidden_layers=2,
        num_attention_heads=3,
        attn_implementation="eager",
    )
    model = tf.LlamaForCausalLM(config).eval()
    sizes = LanguageSizes(n_words=41, d_model=24, n_layers=2, n_heads=3, d_hidden=40)
    assert costs.decoder_flops(sizes, 11)["total"] == counted(lambda: model(input_ids=torch.arange(11)[None]))


def test_cross_attention_costs_what_torch_counts():
    layer = MaskedCrossAttention(d_text=12, d_visual=10, n_heads=3, d_head=5)
    mask = torch.rand(1, 7, 9) < 0.5
    mine = costs.cross_attention_flops(7, 9, d_text=12, d_visual=10, n_heads=3, d_head=5)
    assert mine["total"] == counted(lambda: layer(torch.randn(1, 7, 12), torch.randn(1, 9, 10), mask))


def test_a_resampler_costs_what_torch_counts():
    layer = PerceiverResampler(d_model=12, n_latents=4, n_layers=3, n_heads=2, d_head=5)
    mine = costs.resampler_flops(9, 4, d_model=12, n_layers=3, n_heads=2, d_head=5)
    assert mine["total"] == counted(lambda: layer(torch.randn(1, 9, 12)))


def test_nine_times_fewer_visual_tokens_are_nine_times_cheaper_only_where_they_are_counted():
    many, few = (
        costs.cross_attention_flops(50, v, d_text=4096, d_visual=1280, n_heads=32, d_head=128)
        for v in (576, 64)
    )
    assert many["keys and values"] == 9 * few["keys and values"]
    assert many["scores"] == 9 * few["scores"]
    assert many["text side"] == few["text side"]


def test_the_famous_number_holds_without_any_text_and_shrinks_with_it():
    assert costs.score_ratio(576, 64, 0) == 81
    assert [round(costs.score_ratio(576, 64, t), 1) for t in (50, 256, 512, 2048)] == [30.2, 6.8, 3.6, 1.5]


def test_sizes_of_a_7b_model_give_its_known_parameters():
    s = costs.SEVEN_B
    layer = 4 * s.d_model**2 + 3 * s.d_model * s.d_hidden + 2 * s.d_model
    assert s.n_layers * layer + 2 * s.n_words * s.d_model + s.d_model == 6_738_415_616


def test_a_negative_number_of_tokens_is_named():
    with pytest.raises(ShapeError, match="tokens=-1"):
        costs.decoder_flops(costs.SEVEN_B, -1)
    with pytest.raises(ShapeError, match="at least one"):
        costs.score_ratio(576, 0, 0)
