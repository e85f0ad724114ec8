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
# (begin use answer_cost)
#
#
#
#
# (end use answer_cost)

# %% [markdown]
# (begin popular figures)
#
#
#
#
# (end popular figures)

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
