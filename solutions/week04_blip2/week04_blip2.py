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
# (begin qformer_layer)
#
#
#
#
# (end qformer_layer)

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
# ### Stage 2: what is kept, and what learns
#
# Stage 1 ends with a Q-Former that can read a picture and can read and write text. Stage 2 puts it in front
# of a frozen language model:
#
# $$\text{prefix} = \mathrm{QFormer}(\text{queries},\ \text{picture})\,W + b,
# \qquad W \in \mathbb{R}^{d \times d_{\text{text}}}$$
#
# The prefix stands before the words, one visual word for each query. The language model does the reading
# and writing of text from now on, so no text enters the Q-Former any more. Its side for text (in every
# layer, the feed-forward that only text passes through) would take room and never see a gradient. The
# published code deletes it.
#
# Two things are often told wrong here. *"Stage 2 trains only the projection."* It trains the queries, every
# layer of the Q-Former and the projection; one of the authors had to say so in an issue of their
# repository. Frozen are the parts on either side: the image encoder and the language model. *"The Q-Former
# has 188 million parameters."* In stage 1, yes. Without the text side 105 million are left.

# %% [markdown]
# ### Exercise 7 · The prefix
#
# Difficulty ●●○○○ · 15 minutes · 3 points
#
# Write `QueryPrefix(query_tokens, qformer, d_text)`: what stage 2 makes of stage 1.
#
# - `query_tokens`, float of shape (1, q, d), comes from stage 1. `self.query_tokens` is a parameter with a
#   *copy* of it. Another shape is a `ValueError` that names the shape.
# - `qformer` comes from stage 1, too. `self.qformer` is a *deep copy* of it without its side for text: in
#   every layer of `qformer.encoder.layer`, the parts `intermediate` and `output` are deleted. What you were
#   given stays whole. If `qformer.text` is False, there is no such side and nothing to delete; in your copy
#   it is False in any case.
# - `self.language_projection` is one `nn.Linear` from the width of a query to `d_text`.
# - `forward(visual, visual_mask)` returns one word for every query, of shape (b, q, d_text). The Q-Former is
#   called as `qformer(tokens, n_queries, sees, visual, visual_mask)`. All tokens are queries, and
#   `sees=None` lets them all see each other. True in `visual_mask` means keep.
#
# Weights are loaded by these names, and all of them train.
#
# <details><summary>Hint 1</summary>
#
# There is one row of queries and there are b pictures. Which line gives each picture its own row?
# </details>
# <details><summary>Hint 2</summary>
#
# `nn.Parameter(query_tokens)` would share its memory with stage 1. `.detach().clone()` makes a tensor of
# its own.
# </details>
# <details><summary>Hint 3</summary>
#
# `del layer.output` removes a part of a module, with its parameters. Do it in the copy. Whoever deletes
# first and copies then has broken stage 1.
# </details>
# <details><summary>Hint 4: pseudocode</summary>
#
#     init:     if the shape is not (1, q, d): raise ValueError with the shape
#               query_tokens = Parameter(own copy);  qformer = deepcopy(qformer)
#               if qformer.text: for each layer, delete intermediate and output;  qformer.text = False
#               language_projection = Linear(d, d_text)
#     forward:  queries = query_tokens, repeated for each picture
#               return language_projection(qformer(queries, q, None, visual, visual_mask))
# </details>


# %% exercise="query_prefix"
from copy import deepcopy


class QueryPrefix(nn.Module):
    """The queries of stage 1 read a picture, and one matrix makes words of what they read."""

    def __init__(self, query_tokens: Float[Tensor, "1 q d"], qformer: nn.Module, d_text: int) -> None:
        super().__init__()
        ### BEGIN SOLUTION
        if query_tokens.ndim != 3 or len(query_tokens) != 1:
            raise ValueError(f"query_tokens are {tuple(query_tokens.shape)}; give (1, queries, width).")
        self.query_tokens = nn.Parameter(query_tokens.detach().clone())
        self.qformer = deepcopy(qformer)
        if qformer.text:
            for layer in self.qformer.encoder.layer:
                del layer.intermediate, layer.output
        self.qformer.text = False
        self.language_projection = nn.Linear(query_tokens.shape[2], d_text)
        ### END SOLUTION

    def forward(
        self, visual: Float[Tensor, "b v d_visual"], visual_mask: Bool[Tensor, "b v"] | None = None
    ) -> Float[Tensor, "b q d_text"]:
        ### BEGIN SOLUTION
        queries = repeat(self.query_tokens, "1 q d -> b q d", b=len(visual))
        read = self.qformer(queries, queries.shape[1], None, visual, visual_mask)
        return self.language_projection(read)
        ### END SOLUTION


# %% check="query_prefix" points=3
check("query_prefix", QueryPrefix)

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
# (begin query_similarity)
#
#
#
#
# (end query_similarity)

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
