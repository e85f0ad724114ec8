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
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange, reduce, repeat
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from course_lib.checks import check
from course_lib.post_norm import AddNorm, Hidden, PostNormAttention

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
# ### One layer
#
# The tokens come in as one row: the queries in front, the text behind them. A mask says who may see whom.
# Three things happen, in this order. Each of them **adds, then norms** (post-norm, as in BERT):
#
# $$x \leftarrow \mathrm{LN}\big(x + \text{self-attention}(x)\big)\quad\text{all of them, together}$$
#
# $$x_q \leftarrow \mathrm{LN}\big(x_q + \text{cross-attention}(x_q,\ \text{picture})\big)
# \quad\text{queries only, every other layer}$$
#
# $$x_q \leftarrow \mathrm{LN}\big(x_q + \mathrm{FFN}_q(x_q)\big),\qquad
# x_t \leftarrow \mathrm{LN}\big(x_t + \mathrm{FFN}_t(x_t)\big)\quad\text{each side its own}$$
#
# ![Diagram of one Q-Former layer, read from below. At the bottom one row of tokens: query 1 to query 3 in
# blue, then three words in green. All six go into one box, self-attention, which queries and text share; a
# mask beside it says who may see whom. Above it the row splits. On the left the queries go into
# cross-attention, which is there in every other layer only; keys and values come into it from the picture
# at the far left. No arrow leads from the picture to the text. Then the queries go through a feed-forward
# of their own, and on the right the text through another. Above, both are one row again. Every box ends
# in: add what came in, then norm.](figures/qformer.png)
#
# Two mistakes are common enough to have names. One feed-forward for both sides: transformers' own class was
# built that way until somebody noticed that the matching scores were wrong (issue 30846). And a picture
# that the text reads as well: then nothing has to pass through the queries, and what they say of a picture
# is worth little to whoever gets them alone.

# %% [markdown]
# ### Exercise 1 · A Q-Former layer
#
# Difficulty ●●●○○ · 20 minutes · 4 points
#
# Write `forward` of `QFormerLayer(d_model, d_visual, n_heads, d_hidden, looks)`. In shapes, with
# s = queries + text:
#
#     tokens b s d, sees b s s, visual b v d_visual, visual_mask b v  ->  b s d
#
# * `tokens` holds queries, then text. The first `n_queries` are the queries; either side may be empty.
# * `sees` is `bool[b s s]`, True = token i (row) **may see** token j (column). None: all see all.
# * `visual_mask` is `bool[b v]`, True = **keep**. None: all are kept.
# * Only in a layer with `looks=True` is there a cross-attention. Text never reads the picture.
# * Queries in a layer that looks, and no picture (`visual=None`): raise a `ValueError` that says how many
#   queries there are. Text alone, with `n_queries=0`, needs no picture.
#
# The parts are built for you, under the names of the real checkpoint, and all of them add and norm:
# `PostNormAttention`, called as `attention(asking, source, sees)` with `sees` of `bool[b i j]` or
# `bool[b 1 j]`, returns LN(asking + what was read); `Hidden(x)` is GELU(dense(x)), `d_hidden` wide; and
# `AddNorm`, called as `output(new, old)`, returns LN(dense(new) + old).
#
# <details><summary>Hint 1: what do the parts do already?</summary>
#
# There is no `+` in this forward pass. If you write one, something is added twice.
# </details>
# <details><summary>Hint 2: who is who</summary>
#
# Cut after the self-attention, not before: `queries, text = tokens[:, :n_queries], tokens[:, n_queries:]`.
# Before it they are one row, because they hear each other in it.
# </details>
# <details><summary>Hint 3: the picture's mask</summary>
#
# The attention wants to know for each pair of asking token and source token. All queries may see the same
# visual tokens: `rearrange(visual_mask, "b v -> b 1 v")`.
# </details>
# <details><summary>Hint 4: pseudocode</summary>
#
#     tokens = attention(tokens, tokens, sees)
#     queries, text = the first n_queries, the rest
#     if this layer looks and there are queries:
#         no picture? ValueError
#         queries = crossattention(queries, visual, visual_mask with an axis in its middle, or None)
#     queries = output_query(intermediate_query(queries), queries)
#     text    = output(intermediate(text), text)
#     return queries, then text
# </details>


# %% exercise="qformer_layer"
class QFormerLayer(nn.Module):
    """All hear each other, the queries read the picture, each side thinks. True means may see, or keep."""

    def __init__(
        self, d_model: int, d_visual: int, n_heads: int, d_hidden: int, looks: bool, dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.looks = looks
        self.attention = PostNormAttention(d_model, d_model, n_heads, dropout)
        if looks:
            self.crossattention = PostNormAttention(d_model, d_visual, n_heads, dropout)
        self.intermediate, self.output = Hidden(d_model, d_hidden), AddNorm(d_hidden, d_model, dropout)
        self.intermediate_query = Hidden(d_model, d_hidden)
        self.output_query = AddNorm(d_hidden, d_model, dropout)

    def forward(
        self,
        tokens: Float[Tensor, "b s d"],
        n_queries: int,
        sees: Bool[Tensor, "b s s"] | None = None,
        visual: Float[Tensor, "b v d_visual"] | None = None,
        visual_mask: Bool[Tensor, "b v"] | None = None,
    ) -> Float[Tensor, "b s d"]:
        ### BEGIN SOLUTION
        tokens = self.attention(tokens, tokens, sees)
        queries, text = tokens[:, :n_queries], tokens[:, n_queries:]
        if self.looks and n_queries:
            if visual is None:
                raise ValueError(f"{n_queries} queries and no picture to read; give visual, or n_queries=0.")
            keep = None if visual_mask is None else rearrange(visual_mask, "b v -> b 1 v")
            queries = self.crossattention(queries, visual, keep)
        queries = self.output_query(self.intermediate_query(queries), queries)
        text = self.output(self.intermediate(text), text)
        return torch.cat([queries, text], dim=1)
        ### END SOLUTION


# %% check="qformer_layer" points=4
check("qformer_layer", QFormerLayer)

# %% [markdown]
# (begin use qformer_layer)
#
#
#
#
# (end use qformer_layer)

# %% [markdown]
# (begin section 2)
#
#
#
#
# (end section 2)

# %% [markdown]
# (begin qformer_mask)
#
#
#
#
# (end qformer_mask)

# %% [markdown]
# (begin use qformer_mask)
#
#
#
#
# (end use qformer_mask)

# %% [markdown]
# (begin section 3)
#
#
#
#
# (end section 3)

# %% [markdown]
# (begin itc_loss)
#
#
#
#
# (end itc_loss)

# %% [markdown]
# (begin sample_negatives)
#
#
#
#
# (end sample_negatives)

# %% [markdown]
# (begin use sample_negatives)
#
#
#
#
# (end use sample_negatives)

# %% [markdown]
# (begin itm_loss)
#
#
#
#
# (end itm_loss)

# %% [markdown]
# (begin itg_loss)
#
#
#
#
# (end itg_loss)

# %% [markdown]
# (begin use itg_loss)
#
#
#
#
# (end use itg_loss)

# %% [markdown]
# (begin experiment stage1)
#
#
#
#
# (end experiment stage1)

# %% [markdown]
# (begin section 4)
#
#
#
#
# (end section 4)

# %% [markdown]
# (begin query_prefix)
#
#
#
#
# (end query_prefix)

# %% [markdown]
# (begin use query_prefix)
#
#
#
#
# (end use query_prefix)

# %% [markdown]
# (begin experiment stages)
#
#
#
#
# (end experiment stages)

# %% [markdown]
# ### Exercise 8 · Are the queries copies of each other?
#
# Difficulty ●●○○○ · 10 minutes · 2 points
#
# Write `query_similarity(read)`, `b q d -> q q`. In each picture take the cosine of what query i and what
# query j have read; then take the mean over the pictures.
#
# * The diagonal is 1: a query is entirely like itself. No number is below -1.
# * `read` stays as it was.
# * No picture at all: raise a `ValueError` that says that there are 0 pictures.
#
# <details><summary>Hint 1</summary>
#
# A cosine is the dot product of two vectors of length 1. `F.normalize(read, dim=...)` brings vectors to
# length 1; which axis is a vector?
# </details>
# <details><summary>Hint 2</summary>
#
# First the cosine, then the mean. The mean of what a query read in many pictures says what it says of
# *any* picture; we ask what it says of *this* one.
# </details>
# <details><summary>Hint 3: pseudocode</summary>
#
#     no picture? ValueError
#     unit = every vector of read, divided by its length           b q d
#     cosines = unit times unit, turned round                      b q q
#     return the mean of the cosines over b
# </details>


# %% exercise="query_similarity"
def query_similarity(read: Float[Tensor, "b q d"]) -> Float[Tensor, "q q"]:
    """Cosine of what two queries have read in the same picture, the mean over pictures."""
    ### BEGIN SOLUTION
    if not len(read):
        raise ValueError("there are 0 pictures; give at least one.")
    unit = F.normalize(read, dim=-1)
    return reduce(unit @ rearrange(unit, "b q d -> b d q"), "b i j -> i j", "mean")
    ### END SOLUTION


# %% check="query_similarity" points=2
check("query_similarity", query_similarity)

# %% [markdown]
# (begin experiment probe)
#
#
#
#
# (end experiment probe)

# %% [markdown]
# (begin experiment against_mlp)
#
#
#
#
# (end experiment against_mlp)

# %% [markdown]
# (begin section 5)
#
#
#
#
# (end section 5)

# %% [markdown]
# (begin blip2_answers)
#
#
#
#
# (end blip2_answers)

# %% [markdown]
# (begin use blip2_answers)
#
#
#
#
# (end use blip2_answers)

# %% [markdown]
# (begin experiment few_shot)
#
#
#
#
# (end experiment few_shot)

# %% [markdown]
# (begin section 6)
#
#
#
#
# (end section 6)

# %% [markdown]
# (begin full size)
#
#
#
#
# (end full size)

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
