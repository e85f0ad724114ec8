# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% tags=["colab"]
import sys

if "google.colab" in sys.modules:  # first drop the week's .whl file into Colab's file pane
    get_ipython().system("pip install --quiet --no-deps jaxtyping wadler-lindig *.whl")

# %% [markdown]
# (begin header)
#
#
#
#
# (end header)

# %%
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from einops import einsum, rearrange, reduce, repeat
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from course_lib.checks import check

# %% tags=["parameters"]
SEED, DEVICE = 0, "cpu"
FAST = False  # True shortens every experiment, for a trial run; the numbers then mean nothing

# %% [markdown]
# (begin idea)
#
#
#
#
# (end idea)

# %% experiment="tools"
# What the experiments use. The exercises need none of it.
from course_lib import full_size, plots
from course_lib.exhibits import Table
from course_lib.full_size import count
from course_lib.world import MicroWorld

world = MicroWorld.load(n_scenes=200, n_test=24) if FAST else MicroWorld.load()

# %% [markdown]
# (begin section 1)
#
#
#
#
# (end section 1)

# %% [markdown]
# (begin influence_matrix)
#
#
#
#
# (end influence_matrix)

# %% [markdown]
# (begin use influence_matrix)
#
#
#
#
# (end use influence_matrix)

# %% [markdown]
# (begin names)
#
#
#
#
# (end names)

# %% [markdown]
# (begin section 2)
#
#
#
#
# (end section 2)

# %% [markdown]
# (begin raw_patches)
#
#
#
#
# (end raw_patches)

# %% [markdown]
# (begin use raw_patches)
#
#
#
#
# (end use raw_patches)

# %% [markdown]
# (begin early_fusion)
#
#
#
#
# (end early_fusion)

# %% [markdown]
# (begin use early_fusion)
#
#
#
#
# (end use early_fusion)

# %% [markdown]
# (begin section 3)
#
#
#
#
# (end section 3)

# %% [markdown]
# (begin late_fusion)
#
#
#
#
# (end late_fusion)

# %% [markdown]
# (begin use late_fusion)
#
#
#
#
# (end use late_fusion)

# %% [markdown]
# (begin section 4)
#
#
#
#
# (end section 4)

# %% [markdown]
# (begin stream_fusion)
#
#
#
#
# (end stream_fusion)

# %% [markdown]
# (begin use stream_fusion)
#
#
#
#
# (end use stream_fusion)

# %% [markdown]
# (begin thumbnail)
#
#
#
#
# (end thumbnail)

# %% [markdown]
# (begin use thumbnail)
#
#
#
#
# (end use thumbnail)

# %% [markdown]
# (begin section 5)
#
#
#
#
# (end section 5)

# %% [markdown]
# (begin prefix_lm_mask)
#
#
#
#
# (end prefix_lm_mask)

# %% [markdown]
# (begin use prefix_lm_mask)
#
#
#
#
# (end use prefix_lm_mask)

# %% [markdown]
# (begin experiment influence)
#
#
#
#
# (end experiment influence)

# %% [markdown]
# ## 6 · What it costs
#
# A place to meet is also a bill. It has four lines, and they are paid by different people.
#
# * **Parameters** are paid once, in memory, whatever is asked.
# * **FLOPs** are paid in two stages. Reading the picture and the question is one pass over everything, and is
#   what you wait for before the first word. Writing is one small pass for each word.
# * **The cache** is paid while the answer lasts: keys and values of all that has been read, so that no word
#   reads it again. It decides how many people a machine can answer at once.
# * **Context** is paid in room: what stands in the stream is not there for text.
#
# What is often told is one line of the four, for one model, without the text. `course_lib.cost_model` counts
# encoders, bridges, tokens of a picture and activations, and `course_lib.real_sizes` has the sizes of eight
# published models. The rest of the bill, the language model's, you write yourself.

# %% [markdown]
# ### Exercise 8 · The price of an answer
#
# Difficulty ●●●○○ · 30 minutes · 5 points
#
# Write `answer_cost(sizes, visual, text, written, cross_every=0, d_visual=0, bytes_per_number=2)`. A language
# model reads `visual` visual tokens and `text` text tokens, then writes `written` tokens.
#
# `sizes` has the whole numbers `n_words`, `d_model`, `n_layers`, `n_heads`, `n_kv_heads`, `d_head` and
# `d_hidden`, and `gated`. In each layer the queries, and what goes into the output matrix, are
# `n_heads * d_head` wide, keys and values only `n_kv_heads * d_head`: several query heads share one head of
# keys, and each still has scores of its own. The feed-forward has three matrices, `d_model` by `d_hidden`, if
# `gated` is True, and two if not.
#
# * `cross_every=0`: the visual tokens stand **in the stream**, before the text.
# * `cross_every=n`: they do **not**. Before layers 0, n, 2n, ... stands a block in which the text reads them:
#   an attention with the decoder's heads, its keys and values made from tokens `d_visual` wide, and after it
#   a feed-forward like the decoder's. Keys and values of the picture are made once, in the prefill.
#
# Return a dict of whole numbers:
#
# * `context`: the tokens in the stream when the answer ends;
# * `prefill`: FLOPs of one pass over all that stands in the stream before the answer, with the logits of the
#   last token only;
# * `writing`: FLOPs of the written tokens. Each goes through alone, the last one too, looks at everything in
#   the stream up to itself, itself included, and has logits;
# * `cache_bytes`: keys and values kept when the answer ends, of `bytes_per_number` bytes a number.
#
# Count two FLOPs for a multiplication and its addition in matrix products, and nothing else. In the prefill
# every token meets every token: a causal mask saves a plain kernel nothing. What made the visual tokens, the
# encoder and the bridge, is not counted here. `visual`, `written` and `cross_every` may be 0, `text` and
# `bytes_per_number` are at least 1, and so is `d_visual` where there are blocks. Anything smaller is a
# `ValueError` that names the number, or `d_visual`.
#
# <details><summary>Hint 1</summary>
#
# (a × b) times (b × c) takes 2·a·b·c FLOPs. Attention has two such products besides its four projections:
# queries with keys, and weights with values.
# </details>
# <details><summary>Hint 2</summary>
#
# Prefill and writing are one function: `t` new tokens look at `s`, of which they are the last. Prefill is
# `t = s`. Writing is `t = 1` and a longer `s` for each word.
# </details>
# <details><summary>Hint 3</summary>
#
# The blocks stand at `range(0, n_layers, cross_every)`. A block is a layer whose `s` is the picture, and
# whose keys and values the new tokens do not make.
# </details>
# <details><summary>Hint 4: pseudocode</summary>
#
#     refuse what is too small
#     start = text, and the picture if there are no blocks
#     asks(t, s):  two projections, two products with s, two or three matrices of feed-forward
#     one_pass(t, s):  every layer: asks(t, s), and two narrow projections of t
#                      every block: asks(t, visual)
#                      one token's logits
#     prefill = one_pass(start, start), and for every block two narrow projections of the picture
#     writing = one_pass(1, start + 1) + one_pass(1, start + 2) + ...
#     cache   = two times n_kv_heads * d_head numbers, for each token in each layer and each visual token in
#               each block
# </details>


# %% exercise="answer_cost"
def answer_cost(
    sizes: Any,
    visual: int,
    text: int,
    written: int,
    cross_every: int = 0,
    d_visual: int = 0,
    bytes_per_number: int = 2,
) -> dict[str, int]:
    """What it costs a language model to read a picture and a question and to write an answer."""
    ### BEGIN SOLUTION
    if min(visual, written, cross_every) < 0 or min(text, bytes_per_number) < 1:
        raise ValueError(f"too small: {visual=}, {text=}, {written=}, {cross_every=}, {bytes_per_number=}")
    if cross_every and d_visual < 1:
        raise ValueError(f"blocks read tokens of some width, and d_visual={d_visual}; give 1 or more.")
    start = text if cross_every else visual + text
    blocks = len(range(0, sizes.n_layers, cross_every)) if cross_every else 0
    inner, kv = sizes.n_heads * sizes.d_head, sizes.n_kv_heads * sizes.d_head

    def asks(t, s):
        feed_forward = (3 if sizes.gated else 2) * t * sizes.d_model * sizes.d_hidden
        return 2 * (2 * t * sizes.d_model * inner + 2 * t * inner * s + feed_forward)

    def one_pass(t, s):
        layer = asks(t, s) + 4 * t * sizes.d_model * kv
        return sizes.n_layers * layer + blocks * asks(t, visual) + 2 * sizes.d_model * sizes.n_words

    context = start + written
    return {
        "context": context,
        "prefill": one_pass(start, start) + blocks * 4 * visual * d_visual * kv,
        "writing": sum(one_pass(1, s) for s in range(start + 1, context + 1)),
        "cache_bytes": bytes_per_number * 2 * kv * (sizes.n_layers * context + blocks * visual),
    }
    ### END SOLUTION


# %% check="answer_cost" points=5
check("answer_cost", answer_cost)

# %% [markdown]
# **Use it** on one language model, LLaMA-7B, with three places to meet: all visual tokens in the stream,
# behind a perceptron; a resampler's 64 latents in the stream; all visual tokens beside it, read by blocks
# before every fourth layer. Bridges are counted; the encoder, the same for all three, is not. The answer has
# 30 tokens.
#
# **Prediction:** with 576 visual tokens and a question of 50 tokens, which of the three is cheapest before
# the first word? And with 512 tokens of text? Where do the two lower lines of the cache cross?

# %% experiment="use_answer_cost"
from course_lib import cost_figures, cost_model, costs, real_sizes

short, long = (cost_figures.three_bridges(answer_cost, 576, text) for text in (50, 512))
stream, latents, beside = cost_figures.PLACES
assert short[beside][0] < short[latents][0] < short[stream][0]
assert long[latents][0] < long[beside][0] < long[stream][0]
for text in (50, 512):  # 8 blocks of 256 visual tokens keep what 32 layers of 64 latents keep
    at_256 = cost_figures.three_bridges(answer_cost, 256, text)
    assert at_256[beside][1] == at_256[latents][1]
cost_figures.bills(answer_cost)

# %% [markdown]
# **What we learnt.** With 576 visual tokens and 50 of text, the stream costs 8.34 TFLOP before the first
# word, 64 latents 1.53, and blocks beside the stream 0.88. With 512 tokens of text it is 14.74, 7.68 and
# 8.29: now the latents are ahead. Eight blocks with a feed-forward each are nearly a quarter more layers, and
# *every word of text passes them*. So "cross-attention is cheaper" is true of long pictures with short texts.
#
# The cache is simpler. A visual token in the stream is kept in 32 layers, beside it in 8. Eight times 256 is
# 32 times 64: up to 256 visual tokens the blocks keep less than the latents, above it they keep more,
# whatever the text.
#
# Now eight published models, by their sizes alone. Each gets one picture and 50 tokens of text, and writes
# 30. **Prediction:** which one has the smallest cache, and is it the smallest model?

# %% experiment="eight_bills"
rows = []
for name, model in real_sizes.REAL.items():
    bill = answer_cost(model.decoder, model.visual, 50, 30, model.cross_every, model.d_visual)
    rows.append(
        [
            name,
            f"{model.parameters / 1e9:.2f} B",
            f"{model.bridge / model.parameters:.1%}",
            model.visual,
            bill["context"],
            f"{bill['prefill'] / 1e12:.2f}",
            f"{bill['writing'] / 30 / 1e9:.1f}",
            f"{bill['cache_bytes'] / 2**20:.0f}",
        ]
    )
header = ["model", "parameters", "bridge", "visual", "context", "TFLOP before", "GFLOP a word", "MiB cached"]
Table(header, rows)

# %% [markdown]
# **What we learnt.** PaliGemma, the smallest, keeps 6 MiB and LLaVA-NeXT 1,504. More than 2,672 visual tokens
# lie between the two: PaliGemma has 18 layers, and its eight query heads share *one* head of keys. Qwen2-VL,
# with 4 heads of keys for 28 of queries, keeps just as many tokens in 18 MiB. Who counts tokens alone misses
# that factor. Llama-3.2 reads 4,100 visual tokens and has 80 tokens in its context. And names are rounded:
# Fuyu-8B has 9.4 billion parameters.
#
# Every model here can be built on the meta device, without a single weight, and then has within 0.5 % the
# parameters of this table. The exercise's rule agrees to the last FLOP with torch's own counter, on a Llama
# with shared heads and on a small model with the text side of Llama-3.2, blocks and all.

# %% [markdown]
# ### Claims we check: costs
#
# These figures travel from summary to summary. Each is checked here by a line of code. **Prediction:** of the
# first table's nine, how many are right as they stand?

# %% experiment="claims_parameters"
mlp, linear = cost_model.mlp_parameters(1024, 4096), cost_model.linear_parameters(1024, 4096)
blip2, fuyu = real_sizes.REAL["BLIP-2 OPT-2.7B"], real_sizes.REAL["Fuyu-8B, 300 x 300"]
large = cost_model.DecoderSizes(32_000, 8192, 80, 64, 64, 128, 4 * 8192, gated=False)  # Flamingo-80B's blocks
blocks = [cost_model.gated_parameters(large, d_visual) for d_visual in (1536, 8192)]
twelve, eighty = ([f"{n * block['total'] / 1e9:.1f}" for block in blocks] for n in (12, 80))
places = [len(size.places) for size in full_size.FLAMINGOS.values()]
resampler = cost_model.resampler_parameters(1280, 64, n_layers=6, n_heads=16, d_head=96)
late = 1024 * 768 + 768 * 768 + 1
assert (mlp, late, places) == (20_979_712, 1_376_257, [24, 10, 12])

# %% experiment="claims_parameters_counted"
claims = [
    ["LLaVA's MLP: 42 M", f"{mlp:,}", "half of it: each matrix was counted twice"],
    ["ten times its linear bridge", f"{mlp / linear:.2f} times", "five times"],
    [
        "ViT-B/16: 150,528 patch parameters",
        f"{cost_model.linear_parameters(768, 768):,}",
        "196 x 768 are values",
    ],
    ["at the input, raw: 0 parameters", f"{fuyu.bridge:,}", "Fuyu projects its patches"],
    ["at the output: about 1 M", f"{late:,}", "right in size, for CLIP L/14"],
    [
        "Q-Former: 188 M, under 2 %",
        f"{blip2.bridge:,}, {blip2.bridge / blip2.parameters:.1%}",
        "188 M is stage 1",
    ],
    ["resampler: about 100 M", f"{resampler:,}", "IDEFICS-9B; Flamingo's paper prints 194 M"],
    ["Flamingo: 10 B beside 80 B", f"{twelve[0]} to {twelve[1]} B", "beside 70 B; 80 B is all together"],
    [
        "... a block at every layer",
        f"12 of 80; all would be {eighty[0]} to {eighty[1]} B",
        f"blocks: {places}",
    ],
]
Table(["claim", "counted", "so"], claims)

# %% [markdown]
# **What we learnt.** One of the nine is right in size, "about 1 M" at the output; Flamingo's 10 B would be
# right beside 70 B. That line has a range because the paper does not print the width that its blocks' keys
# are made from: it is counted for the resampler's 1,536 and for the text's 8,192. "Every layer", "every
# fourth" and "every seventh" are all said of Flamingo, and all true, of its sizes of 3, 9 and 80 B, with 24,
# 10 and 12 blocks.

# %% experiment="claims_flops"
saved = {
    text: [answer_cost(real_sizes.LLAMA_7B, visual, text, 0)["prefill"] for visual in (576, 64)]
    for text in (50, 512)
}
squares = {text: costs.score_ratio(576, 64, text) for text in (0, 50, 512)}
idefics = real_sizes.REAL["IDEFICS-9B"]
tag = answer_cost(idefics.decoder, 64, 1, 0, idefics.cross_every, idefics.d_visual)
tiles = [cost_model.picture_tokens(672, 672, 14, tile=336, newlines=rows) for rows in (False, True)]
block = cost_model.gated_parameters(large, 1536)
assert squares[0] == 81
assert (tag["context"], tiles) == (1, [2880, 2928])

# %% experiment="claims_flops_counted"
claims = [["64 for 576 tokens: attention 81 times cheaper", f"{squares[0]:.0f} times", "with no text at all"]]
for text, (many, few) in saved.items():
    counted = f"scores {squares[text]:.1f}, the whole prefill {many / few:.1f} times"
    claims.append(
        [f"... with {text} tokens of text", counted, "projections and feed-forward are not squared"]
    )
claims += [
    ["Flamingo: 64 tokens in the context", tag["context"], "the tag; the 64 stand beside the stream"],
    [
        "... so they cost nothing",
        f"{tag['cache_bytes'] / 2**20:.1f} MiB cached",
        "64 in 8 blocks, one in 32 layers",
    ],
    [
        "a block is mostly attention",
        f"{block['feed-forward'] / block['total']:.0%} feed-forward",
        "the other way round",
    ],
    ["LLaVA-NeXT, 672 x 672: 2,880 tokens", f"{tiles[1]:,}", "a newline ends each of 48 rows"],
    [
        "... in 3 x 3 tiles",
        f"{cost_model.picture_tokens(1008, 1008, 14, tile=336, max_tiles=9):,}",
        "2,880 is 2 x 2",
    ],
]
Table(["claim", "counted", "so"], claims)

# %% [markdown]
# **What we learnt.** The 81 is real, and almost never what one pays: 30.2 times in the scores with 50 tokens
# of text, 5.6 times in the whole prefill, and 1.9 times with 512. Flamingo's picture takes one place in the
# context, and at IDEFICS-9B's size 8.5 MiB in the cache, half a MiB of it the tag's. A figure without its
# text length, its place and its model is a rumour.
#
# What does not fit is said in numbers, with the nearest that does: a picture that patches do not tile, too
# many tiles, a context that is full.

# %% experiment="budgets_that_cannot_be_met"
refused = {
    "pixels": lambda: cost_model.picture_tokens(336, 340, 14, merge=2),
    "tiles": lambda: cost_model.picture_tokens(1500, 1000, 14, tile=336, max_tiles=4),
    "context": lambda: cost_model.pictures_that_fit(2048, per_picture=2928, text=50),
    "budget": lambda: cost_model.largest_side(0, patch=14, merge=2),
}
for name, ask in refused.items():
    try:
        ask()
    except ValueError as problem:
        print(f"{name}: {problem}")
print("largest square in 64 tokens:", cost_model.largest_side(64, patch=14, merge=2), "pixels")

# %% [markdown]
# (begin explorer)
#
#
#
#
# (end explorer)

# %% [markdown]
# (begin section 7)
#
#
#
#
# (end section 7)

# %% [markdown]
# (begin experiment bakeoff)
#
#
#
#
# (end experiment bakeoff)

# %% [markdown]
# (begin experiment order)
#
#
#
#
# (end experiment order)

# %% [markdown]
# (begin section 8)
#
#
#
#
# (end section 8)

# %% [markdown]
# (begin my_fusion)
#
#
#
#
# (end my_fusion)

# %% [markdown]
# (begin use my_fusion)
#
#
#
#
# (end use my_fusion)

# %% [markdown]
# (begin looking back)
#
#
#
#
# (end looking back)

# %% [markdown] generated="common_mistakes"
# ## Common mistakes
#
# Each of these is a real misunderstanding, and each leaves its own trace in the numbers. If the feedback on
# your notebook names one of them, it was recognised by that trace.

# %% [markdown]
# (begin where next)
#
#
#
#
# (end where next)
