"""What an answer costs, counted twice: by our formula, and by torch's counter and transformers' caches."""

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from course_lib.answer_cost import answer_cost
from course_lib.cost_model import DecoderSizes
from course_lib.costs import SEVEN_B, decoder_flops, matrix_flops
from course_lib.gated_block import gated_block
from course_lib.language import LanguageModel, LanguageSizes
from course_lib.real_sizes import LLAMA_7B, REAL

TINY = DecoderSizes(41, 24, n_layers=5, n_heads=6, n_kv_heads=2, d_head=10, d_hidden=36)
OURS = LanguageSizes(n_words=37, d_model=24, n_layers=5, n_heads=3, d_hidden=56)
SAME = DecoderSizes(37, 24, n_layers=5, n_heads=3, n_kv_heads=3, d_head=8, d_hidden=56, tied=True)


def counted(run):
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH), torch.no_grad():
        run()
    return counter.get_total_flops()


def llama(tf, sizes, **more):
    config = tf.LlamaConfig(
        vocab_size=sizes.n_words,
        hidden_size=sizes.d_model,
        intermediate_size=sizes.d_hidden,
        num_hidden_layers=sizes.n_layers,
        num_attention_heads=sizes.n_heads,
        num_key_value_heads=sizes.n_kv_heads,
        head_dim=sizes.d_head,
        attn_implementation="eager",
        **more,
    )
    return tf.LlamaForCausalLM(config).eval()


def read_and_write(model, blocks, read, written):
    """(FLOPs of one pass, FLOPs of the words after it, numbers in the cache) of the course's own model."""
    cache = model.new_cache()

    def one_pass(tokens):
        past = len(cache[0])
        keep = torch.ones(1, past + tokens, dtype=torch.bool)
        model(
            torch.randn(1, tokens, model.sizes.d_model),
            keep,
            torch.arange(past, past + tokens)[None],
            before_layer=None if blocks is None else blocks,
            cache=cache,
        )

    prefill = counted(lambda: one_pass(read))
    writing = sum(counted(lambda: one_pass(1)) for _ in range(written))
    return prefill, writing, sum(layer.keys.numel() + layer.values.numel() for layer in cache)


def test_the_courses_own_model_costs_to_the_last_flop_what_torch_counts():
    visual, text, written = 7, 4, 3
    prefill, writing, cached = read_and_write(LanguageModel(OURS).eval(), None, visual + text, written)
    mine = answer_cost(SAME, visual, text, written, bytes_per_number=4)
    silent = (visual + text - 1) * matrix_flops(1, 24, 37)  # ours says the next word at every token
    assert mine["prefill"] == prefill - silent
    assert mine["writing"] == writing
    assert mine["cache_bytes"] == 4 * cached
    assert mine["context"] == visual + text + written


@pytest.mark.parametrize("every", [1, 2, 3, 7])
def test_blocks_between_layers_cost_what_torch_counts(every):
    visual, text, written, d_visual = 9, 4, 3, 14
    model = LanguageModel(OURS).eval()
    places = range(0, OURS.n_layers, every)
    blocks = {place: gated_block(24, d_visual, n_heads=3, d_hidden=56) for place in places}
    picture = torch.randn(1, visual, d_visual)

    def before(i, hidden):
        return blocks[i](hidden, picture) if i in blocks else hidden

    prefill, writing, cached = read_and_write(model, before, text, written)
    mine = answer_cost(SAME, visual, text, written, every, d_visual, bytes_per_number=4)
    made_once = len(blocks) * 2 * matrix_flops(visual, d_visual, 24)  # our blocks keep no cache of their own
    assert mine["prefill"] == prefill - (text - 1) * matrix_flops(1, 24, 37)
    assert mine["writing"] == writing - written * made_once
    assert mine["cache_bytes"] == 4 * (cached + len(blocks) * 2 * visual * 24)
    assert mine["context"] == text + written


def test_a_llama_with_shared_key_heads_costs_what_torch_counts_and_caches_what_it_says():
    tf = pytest.importorskip("transformers")
    model, cache = llama(tf, TINY), tf.DynamicCache()
    visual, text, written = 6, 5, 4
    mine = answer_cost(TINY, visual, text, written, bytes_per_number=4)

    def one_pass(tokens):
        model(inputs_embeds=torch.randn(1, tokens, 24), past_key_values=cache, logits_to_keep=1)

    assert mine["prefill"] == counted(lambda: one_pass(visual + text))
    assert mine["writing"] == sum(counted(lambda: one_pass(1)) for _ in range(written))
    held = [t for layer in cache.layers for t in (layer.keys, layer.values)]
    assert mine["cache_bytes"] == sum(t.numel() * t.element_size() for t in held)
    assert mine["context"] == cache.get_seq_length()


@pytest.mark.parametrize("name", ["Llama-3.2-11B-Vision", "LLaVA-1.5-7B"])
def test_a_decoder_of_the_real_size_costs_on_the_meta_device_what_we_count(name):
    tf = pytest.importorskip("transformers")
    sizes, visual, text = REAL[name].decoder, REAL[name].visual // 10, 20
    with torch.device("meta"):
        model = llama(tf, sizes)
        stream = torch.empty(1, visual + text, sizes.d_model)
        spent = counted(lambda: model(inputs_embeds=stream, logits_to_keep=1))
    assert answer_cost(sizes, visual, text, 0)["prefill"] == spent


def test_a_tiny_mllama_reads_its_picture_for_what_we_count():
    """Eight of its forty layers are such blocks, one for every four of the others."""
    tf = pytest.importorskip("transformers")
    visual, text = 11, 5
    config = tf.models.mllama.configuration_mllama.MllamaTextConfig(
        vocab_size=TINY.n_words,
        hidden_size=48,
        intermediate_size=36,
        num_hidden_layers=5,
        num_attention_heads=6,
        num_key_value_heads=2,
        cross_attention_layers=[1, 4],
        pad_token_id=0,
        attn_implementation="eager",
    )
    model = tf.MllamaForCausalLM(config).eval()
    sizes = DecoderSizes(TINY.n_words, 48, 3, n_heads=6, n_kv_heads=2, d_head=8, d_hidden=36)
    cache, picture = tf.DynamicCache(config=config), torch.randn(1, visual, 48)
    sees, rows = torch.zeros(1, 1, text, visual), torch.ones(1, 1, text, 1)

    def read():
        model(
            input_ids=torch.arange(text)[None],
            cross_attention_states=picture,
            cross_attention_mask=sees,
            full_text_row_masked_out_mask=rows,
            past_key_values=cache,
            logits_to_keep=1,
        )

    mine = answer_cost(sizes, visual, text, 0, cross_every=2, d_visual=48, bytes_per_number=4)
    assert mine["prefill"] == counted(read)
    held = [t for layer in cache.layers for t in (layer.keys, layer.values)]
    assert mine["cache_bytes"] == sum(t.numel() * t.element_size() for t in held)


def test_it_agrees_with_the_plainer_count_of_week_3():
    whole = decoder_flops(SEVEN_B, 626)
    silent = 625 * matrix_flops(1, 4096, 32_000)
    assert answer_cost(LLAMA_7B, 576, 50, 0)["prefill"] == whole["total"] - silent


def test_without_an_answer_nothing_is_written():
    assert answer_cost(TINY, 3, 2, 0)["writing"] == 0


def test_a_picture_beside_the_stream_takes_no_place_in_it():
    few, many = (answer_cost(TINY, v, 4, 3, cross_every=2, d_visual=5) for v in (1, 100))
    assert few["context"] == many["context"] == 7
    per_token = (many["cache_bytes"] - few["cache_bytes"]) / 99
    assert per_token == 3 * 2 * 2 * 10 * 2  # blocks, keys and values, heads, width, bytes


@pytest.mark.parametrize("fault", ["visual", "text", "written", "cross_every", "bytes_per_number"])
def test_a_number_too_small_is_named(fault):
    given = {"visual": 3, "text": 2, "written": 1, "cross_every": 1, "d_visual": 4} | {fault: -7}
    with pytest.raises(ValueError, match=f"{fault}=-7"):
        answer_cost(TINY, **given)


def test_a_missing_width_is_named():
    with pytest.raises(ValueError, match="d_visual=0"):
        answer_cost(TINY, 3, 2, 1, cross_every=2)
